import Addressing
import Services

/// Makes the kernel's maps of services follow what is compiled, and keeps the numbers that are behind it.
///
///     var reconciler = try ServiceReconciler(datapath.services, maglevSize: 16381)
///     reconciler.start(with: everything, now: .now)
///     reconciler.apply(changes, now: .now)
///     reconciler.collect(now: .now)  // from time to time, when `nextDue` says so
///
/// At every moment, also one at which the process dies, a packet meets a service as it was or as it is to be: backends and
/// tables are written first, then the service's entry, which switches between them by one write, then the frontends. What
/// is superseded goes a second later. For one owner, who calls it from one thread at a time.
public struct ServiceReconciler: Sendable {
  public typealias Instant = ContinuousClock.Instant

  var store: any ServiceStore
  /// What the maps hold: read once, and followed since.
  var held: ServiceMapsContent
  let maglevSize: Int
  var records: [ServiceName: ServiceRecord] = [:]
  /// To which Service each of the held frontends leads.
  var owners: [FrontendKey: ServiceName] = [:]
  var retirement = ServiceRetirement()
  private var gone: Set<UInt32> = []
  /// The backends whose numbers go with their entries.
  private var departing: Set<UInt32> = []
  private var lastNumber: UInt32
  /// Numbers that an earlier process gave last may be gone from the maps, and still be known to sockets.
  private static let numberGap: UInt32 = 1 << 16
  /// What could not be written; the maps still have what was there before.
  private var refused: [ServiceName: (service: CompiledService, reason: String)] = [:]
  /// Whether something has been removed since the refused were last tried.
  private var hasNewRoom = false

  /// Reads what the maps hold. `maglevSize` is that of `martlet_config`.
  public init(_ maps: ServiceMaps, maglevSize: Int) throws {
    try self.init(store: maps.store(maglevSize: maglevSize), maglevSize: maglevSize)
  }

  init(store: any ServiceStore, maglevSize: Int) throws {
    self.store = store
    self.maglevSize = maglevSize
    held = try store.content()
    let greatest = min(held.greatestNumber, UInt32(Int32.max))
    lastNumber = greatest == 0 ? 0 : greatest + ServiceReconciler.numberGap
  }

  /// The Services that the maps do not have as they should, and why. They have them as they were, new ones not at all.
  public var refusals: [ServiceName: String] { refused.mapValues(\.reason) }

  /// Which port of which Service a number means, for whom: until it is gone from the maps.
  public private(set) var meanings: [UInt32: BalancerID] = [:]
  private var newMeanings: Set<UInt32> = []

  /// The numbers that came to mean something else since this was asked last; nil: nothing any more.
  public mutating func takeNewMeanings() -> [UInt32: BalancerID?] {
    defer { newMeanings = [] }
    return newMeanings.reduce(into: [:]) { $0[$1] = .some(meanings[$1]) }
  }

  /// The number of a service in the maps.
  public func number(_ id: BalancerID) -> UInt32? { records[id.port.service]?.balancers[id]?.number }

  /// The number of a backend of a port in the maps.
  public func number(_ backend: BackendAddress, of port: PortID) -> UInt32? {
    records[port.service]?.backends[port]?[backend]
  }

  /// The numbers of backends whose endpoints are gone: none of the tables names them any more. Each is told twice, the second
  /// time when no client can choose it any more; its sockets are to be ended both times.
  public mutating func takeGone() -> Set<UInt32> {
    defer { gone = [] }
    return gone
  }

  /// When ``collect(now:)`` has something to do next.
  public var nextDue: Instant? { retirement.nextDue }

  /// To be called first, with every Service there is: an earlier process may have left others.
  public mutating func start(with all: [ServiceName: CompiledService], now: Instant) {
    start(with: all, clients: [], now: now)
  }

  /// - Parameter clients: the sockets that were led to backends.
  mutating func start(with all: [ServiceName: CompiledService], clients: Set<BackendClient>, now: Instant) {
    let services = all.values.sorted { $0.name < $1.name }
    adopt(services)
    gone.formUnion(adopt(clients, services))
    lastNumber = max(lastNumber, clients.reduce(0) { max($0, $1.service, $1.backend) })
    apply(all.mapValues(Optional.some), now: now)
    removeStrays(now)
  }

  /// Writes what has changed; nil for a Service that is gone.
  public mutating func apply(_ changes: [ServiceName: CompiledService?], now: Instant) {
    var plans: [ServicePlan] = []
    var reserved = ServiceMapsRoom()
    var services: [ServiceName: CompiledService] = [:]
    for name in changes.keys.sorted() {
      let service = changes[name].flatMap { $0 } ?? CompiledService(name: name, frontends: [], balancers: [:])
      services[name] = service
      refused[name] = nil
      let plan = plan(service)
      var used = held.used
      used += reserved
      if let shortage = store.room.shortage(used, plan.need, keepingReserve: plan.need.services > 0) {
        refused[name] = (service, "\(shortage.map) is full: it holds \(shortage.capacity) entries")
        continue
      }
      reserved += plan.need
      plans.append(plan)
    }
    let failures = carryOut(plans)
    for (index, plan) in plans.enumerated() {
      for (key, entry) in plan.frontends where held.frontends[key] == entry { take(key, plan.name) }
      guard let error = failures[index] else { continue }
      refused[plan.name] = services[plan.name].map { ($0, "\(error)") }
    }
    var goneFrontends: [ServiceWrite] = []
    for (index, plan) in plans.enumerated() {
      if failures[index] != nil { abandon(plan, now) } else { goneFrontends += commit(plan, now) }
    }
    remove(goneFrontends)
  }

  /// Removes what nobody needs any more and, where that made room, tries again what was refused.
  public mutating func collect(now: Instant) {
    removeRetired(retirement.take(now))
    guard hasNewRoom, !refused.isEmpty else { return }
    retry(now: now)
  }

  /// Tries again what was refused.
  public mutating func retry(now: Instant) {
    hasNewRoom = false
    apply(refused.mapValues { $0.service }, now: now)
  }

  // MARK: - Writing

  /// Stage by stage for all of them; those that have failed in one are left out of the next. Returns the failed ones.
  private mutating func carryOut(_ plans: [ServicePlan]) -> [Int: any Error] {
    var failures: [Int: any Error] = [:]
    for stage in 0...ServicePlan.frontendStage {
      var writes: [ServiceWrite] = []
      var authors: [Int] = []
      for (index, plan) in plans.enumerated() where failures[index] == nil {
        writes += plan.stages[stage]
        authors += Array(repeating: index, count: plan.stages[stage].count)
      }
      guard !writes.isEmpty else { continue }
      let refused = store.write(writes)
      for (index, write) in writes.enumerated() {
        if let error = refused[index] { failures[authors[index]] = error } else { held.apply(write) }
      }
    }
    return failures
  }

  private mutating func take(_ key: FrontendKey, _ name: ServiceName) {
    if let owner = owners[key], owner != name { records[owner]?.frontends.remove(key) }
    owners[key] = name
    records[name, default: ServiceRecord()].frontends.insert(key)
  }

  /// All of it is written: what it replaces may go. Returns the removals of frontends that are not its any more.
  private mutating func commit(_ plan: ServicePlan, _ now: Instant) -> [ServiceWrite] {
    let old = records[plan.name] ?? ServiceRecord()
    var new = ServiceRecord()
    new.backends = plan.backends
    for balancing in plan.balancers {
      new.balancers[balancing.id] = balancing.number
      if meanings.updateValue(balancing.id, forKey: balancing.number.number) != balancing.id {
        newMeanings.insert(balancing.number.number)
      }
      if let table = balancing.previousTable, table != 0, table != balancing.entry.table {
        retirement.retire(.table(table), now)
      }
      let number = balancing.number.number
      if balancing.entry.flags.contains(.maglev) {
        retirement.revive(.maglev(service: number))
      } else if held.maglev[number] != nil {
        retirement.retire(.maglev(service: number), now)
      }
    }
    for (id, number) in old.balancers where new.balancers[id] != number {
      retirement.retire(.service(number.number), now)
    }
    for number in old.superseded { retirement.retire(.service(number), now) }
    for (port, backends) in plan.backends {
      for number in backends.values {
        let item = ServiceRetirement.Item.backend(number, owner: port)
        if plan.gone.contains(number) {
          if departing.insert(number).inserted { gone.insert(number) }
        } else {
          departing.remove(number)
        }
        if plan.inUse.contains(number) {
          retirement.revive(item)
        } else if held.backends[number] != nil || plan.gone.contains(number) {
          retirement.retire(item, now)
        }
      }
    }
    var gone: [ServiceWrite] = []
    for key in old.frontends {
      if plan.frontends[key] != nil {
        new.frontends.insert(key)
      } else {
        owners[key] = nil
        gone.append(.removeFrontend(key))
      }
    }
    records[plan.name] = new.isEmpty ? nil : new
    return gone
  }

  /// Some of it was refused. What was there goes on, and what was written beside it waits for the next attempt.
  private mutating func abandon(_ plan: ServicePlan, _ now: Instant) {
    var record = records[plan.name] ?? ServiceRecord()
    for (port, backends) in plan.backends {
      for (address, number) in backends where held.backends[number] != nil {
        record.backends[port, default: [:]][address] = number
      }
    }
    for balancing in plan.balancers {
      let number = balancing.number.number
      let isNew = record.balancers[balancing.id] != balancing.number
      let isSwitched = held.services[number] == balancing.entry
      let unused = isSwitched ? balancing.previousTable : balancing.entry.table
      if let unused, unused != 0, balancing.previousTable != balancing.entry.table, held.slots[unused] != nil {
        retirement.retire(.table(unused), now)
      }
      guard isNew, isSwitched || held.ranges[number] != nil || held.maglev[number] != nil else { continue }
      let isReachable = plan.frontends.keys.contains {
        held.frontends[$0]?.service == number || held.frontends[$0]?.external == number
      }
      if isReachable { record.superseded.append(number) } else { retirement.retire(.service(number), now) }
    }
    records[plan.name] = record
  }

  mutating func remove(_ writes: [ServiceWrite]) {
    guard !writes.isEmpty else { return }
    let refused = store.write(writes)
    for (index, write) in writes.enumerated() where refused[index] == nil { held.apply(write) }
    hasNewRoom = true
  }

  private mutating func removeRetired(_ items: [ServiceRetirement.Item]) {
    var services: [ServiceWrite] = []
    var maglev: [ServiceWrite] = []
    var ranges: [ServiceWrite] = []
    var slots: [ServiceWrite] = []
    var backends: [ServiceWrite] = []
    func removeTable(_ table: UInt32) {
      if let count = held.slots[table]?.count { slots.append(.removeSlots(table: table, count: count)) }
    }
    for item in items {
      switch item {
      case .service(let number):
        if meanings.removeValue(forKey: number) != nil { newMeanings.insert(number) }
        if let entry = held.services[number] {
          services.append(.removeService(number))
          removeTable(entry.table)
        }
        if held.maglev[number] != nil { maglev.append(.removeMaglev(service: number)) }
        if let blocks = held.ranges[number] { ranges.append(.removeRanges(service: number, blocks.sorted())) }
      case .table(let table): removeTable(table)
      case .maglev(let service): if held.maglev[service] != nil { maglev.append(.removeMaglev(service: service)) }
      case .backend(let number, let owner):
        let isDeparting = departing.remove(number) != nil
        if owner == nil || isDeparting { gone.insert(number) }
        if isDeparting, let owner { forget(number, of: owner) }
        if held.backends[number] != nil { backends.append(.removeBackend(number)) }
      }
    }
    for writes in [services, maglev, ranges, slots, backends] { remove(writes) }
  }

  private mutating func forget(_ backend: UInt32, of port: PortID) {
    let known = records[port.service]?.backends[port]
    guard let address = held.backends[backend]?.address ?? known?.first(where: { $0.value == backend })?.key else {
      return
    }
    records[port.service]?.backends[port]?[address] = nil
    if records[port.service]?.isEmpty == true { records[port.service] = nil }
  }

  // MARK: - Numbers

  /// One sequence for services, tables and backends. A number does not soon come to mean something else: clients with
  /// affinity, and the events of connections, name it longer than the maps do.
  mutating func newNumber() -> UInt32 {
    repeat {
      // The programs return a backend's number where an error would be negative.
      lastNumber = lastNumber >= UInt32(Int32.max) ? 1 : lastNumber + 1
    } while isTaken(lastNumber)
    return lastNumber
  }

  private func isTaken(_ number: UInt32) -> Bool {
    held.services[number] != nil || held.slots[number] != nil || held.backends[number] != nil
      || held.maglev[number] != nil || held.ranges[number] != nil
  }
}
