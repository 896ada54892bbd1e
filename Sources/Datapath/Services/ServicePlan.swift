import Addressing
import Services

/// What the maps have of one Service.
struct ServiceRecord: Sendable {
  struct Number: Hashable, Sendable {
    let number: UInt32
    /// Ranges are never changed under a number: a service with other ranges gets another number, so that no client ever
    /// meets half of them.
    let ranges: [CIDR]?
  }

  var balancers: [BalancerID: Number] = [:]
  /// Also those that get no new connections, as long as their endpoints are known: one that comes back has its number
  /// back, and sockets that talk to it are found by it when it goes.
  var backends: [PortID: [BackendAddress: UInt32]] = [:]
  /// The frontends that lead to its numbers.
  var frontends: Set<FrontendKey> = []
  /// Numbers of services that an attempt left behind, which failed in the middle.
  var superseded: [UInt32] = []

  var isEmpty: Bool {
    balancers.isEmpty && frontends.isEmpty && superseded.isEmpty && backends.values.allSatisfy(\.isEmpty)
  }
}

/// What makes the maps do for one Service as they should, in the order in which it must be written.
struct ServicePlan: Sendable {
  struct Balancing: Sendable {
    let id: BalancerID
    let number: ServiceRecord.Number
    let entry: KernelService
    /// What its entry names until it is written; nil for a new number.
    let previousTable: UInt32?
  }

  let name: ServiceName
  /// Nothing that is read names what the earlier ones of these write: backends, slots, ranges, Maglev tables, services,
  /// frontends.
  var stages: [[ServiceWrite]] = Array(repeating: [], count: 6)
  /// The entries that the maps will have more.
  var need = ServiceMapsRoom()
  var balancers: [Balancing] = []
  /// Every backend that the maps will have of it, and those of them that are in use.
  var backends: [PortID: [BackendAddress: UInt32]] = [:]
  var inUse: Set<UInt32> = []
  /// Those of them whose endpoints are not known any more.
  var gone: Set<UInt32> = []
  var frontends: [FrontendKey: KernelFrontend] = [:]

  static let backendStage = 0
  static let slotStage = 1
  static let rangeStage = 2
  static let maglevStage = 3
  static let serviceStage = 4
  static let frontendStage = 5

  mutating func add(_ write: ServiceWrite, _ stage: Int) { stages[stage].append(write) }
}

extension ServiceReconciler {
  /// Compares what is held with what is to be. Only takes new numbers; nothing is written.
  mutating func plan(_ service: CompiledService) -> ServicePlan {
    let record = records[service.name] ?? ServiceRecord()
    var plan = ServicePlan(name: service.name)
    plan.backends = record.backends
    var numbers: [BalancerID: UInt32] = [:]
    for (id, balancer) in service.balancers.sorted(by: { $0.key < $1.key }) {
      let members = balancer.members.map { backendNumber($0, id.port, &plan) }
      let balancing = self.balancing(id, balancer, members, record.balancers[id], &plan)
      numbers[id] = balancing.number.number
      plan.balancers.append(balancing)
    }
    for (port, backends) in plan.backends where backends.values.contains(where: { !plan.inUse.contains($0) }) {
      let known = Set((service.endpoints[port] ?? []).map(\.backend))
      for (address, number) in backends where !plan.inUse.contains(number) && !known.contains(address) {
        plan.gone.insert(number)
      }
    }
    for frontend in service.frontends {
      guard let number = numbers[frontend.cluster] else { continue }
      let entry = KernelFrontend(
        service: number, external: frontend.external.flatMap { numbers[$0] } ?? 0, kinds: frontend.kinds)
      plan.frontends[frontend.key] = entry
      guard held.frontends[frontend.key] != entry else { continue }
      if held.frontends[frontend.key] == nil { plan.need.frontends += 1 }
      plan.add(.frontend(frontend.key, entry), ServicePlan.frontendStage)
    }
    return plan
  }

  private mutating func backendNumber(_ member: Balancer.Member, _ port: PortID, _ plan: inout ServicePlan) -> UInt32 {
    let backend = KernelBackend(address: member.backend, protocol: port.protocol, isLocal: member.isLocal)
    let number: UInt32
    if let known = plan.backends[port]?[member.backend] {
      number = known
    } else {
      number = newNumber()
      plan.backends[port, default: [:]][member.backend] = number
    }
    if plan.inUse.insert(number).inserted, held.backends[number] != backend {
      if held.backends[number] == nil { plan.need.backends += 1 }
      plan.add(.backend(number, backend), ServicePlan.backendStage)
    }
    return number
  }

  private mutating func balancing(
    _ id: BalancerID, _ balancer: Balancer, _ members: [UInt32], _ known: ServiceRecord.Number?,
    _ plan: inout ServicePlan
  ) -> ServicePlan.Balancing {
    let reused = known.flatMap { $0.ranges == balancer.sourceRanges ? $0 : nil }
    let number = reused ?? ServiceRecord.Number(number: newNumber(), ranges: balancer.sourceRanges)
    let previous = held.services[number.number]
    let slots = zip(members, EndpointWeight.repeats(balancer.members.map(\.weight))).flatMap {
      Array(repeating: $0, count: $1)
    }
    var entry = KernelService(table: 0, count: UInt32(slots.count), affinity: balancer.affinity, flags: [])
    entry.listener = balancer.listener
    if balancer.sourceRanges != nil { entry.flags.insert(.sourceRanges) }
    if balancer.keepsSource { entry.flags.insert(.keepSource) }
    if balancer.drops, slots.isEmpty { entry.flags.insert(.drop) }
    if let previous, !slots.isEmpty, held.slots[previous.table] == slots {
      entry.table = previous.table
    } else if !slots.isEmpty {
      entry.table = newNumber()
      plan.need.slots += slots.count
      plan.add(.slots(table: entry.table, slots), ServicePlan.slotStage)
    }
    if reused == nil, let ranges = balancer.sourceRanges, !ranges.isEmpty {
      plan.need.ranges += ranges.count
      plan.add(.ranges(service: number.number, ranges), ServicePlan.rangeStage)
    }
    if balancer.algorithm == .maglev, !slots.isEmpty {
      entry.flags.insert(.maglev)
      let table = MaglevTable.build(balancer.members, size: maglevSize).map { members[Int($0)] }
      let digest = held.maglev[number.number]
      if digest != ServiceMapsContent.digest(table) {
        if digest == nil { plan.need.maglev += 1 }
        plan.add(.maglev(service: number.number, table), ServicePlan.maglevStage)
      }
    }
    if entry != previous {
      if previous == nil { plan.need.services += 1 }
      plan.add(.service(number.number, entry), ServicePlan.serviceStage)
    }
    return ServicePlan.Balancing(id: id, number: number, entry: entry, previousTable: previous?.table)
  }
}
