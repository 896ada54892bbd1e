import Addressing
import Services

@testable import Datapath

/// The maps of services in memory, written as the kernel's are: entry by entry, each with all of its content or none.
struct ServiceModel: ServiceStore {
  /// One system call's worth, or a single entry of a batch.
  enum Entry: Hashable {
    case backend(UInt32, KernelBackend?)
    case slot(UInt32, UInt32, UInt32?)
    case range(UInt32, CIDR, Bool)
    case maglev(UInt32, [UInt32]?)
    case service(UInt32, KernelService?)
    case frontend(FrontendKey, KernelFrontend?)
  }

  struct Slot: Hashable {
    let table: UInt32
    let slot: UInt32
  }

  struct Refused: Error {}

  var room = ServiceMapsRoom(
    frontends: 1 << 20, services: 1 << 20, slots: 1 << 20, backends: 1 << 20, maglev: 1 << 20, ranges: 1 << 20)
  var backends: [UInt32: KernelBackend] = [:]
  var slots: [Slot: UInt32] = [:]
  var ranges: [UInt32: Set<CIDR>] = [:]
  var maglev: [UInt32: [UInt32]] = [:]
  var services: [UInt32: KernelService] = [:]
  var frontends: [FrontendKey: KernelFrontend] = [:]
  /// Everything that was written, in this order.
  var log: [Entry] = []
  /// How many writes go well before one is refused; nil for all.
  var writesUntilRefusal: Int?

  mutating func write(_ writes: [ServiceWrite]) -> [Int: any Error] {
    var refused: [Int: any Error] = [:]
    for (index, write) in writes.enumerated() {
      if let left = writesUntilRefusal {
        writesUntilRefusal = left == 0 ? nil : left - 1
        if left == 0 {
          refused[index] = Refused()
          continue
        }
      }
      for entry in ServiceModel.entries(write) {
        log.append(entry)
        apply(entry)
      }
    }
    return refused
  }

  private static func entries(_ write: ServiceWrite) -> [Entry] {
    switch write {
    case .backend(let number, let backend): [.backend(number, backend)]
    case .slots(let table, let numbers): numbers.enumerated().map { .slot(table, UInt32($0), $1) }
    case .ranges(let service, let blocks): blocks.map { .range(service, $0, true) }
    case .maglev(let service, let table): [.maglev(service, table)]
    case .service(let number, let service): [.service(number, service)]
    case .frontend(let key, let frontend): [.frontend(key, frontend)]
    case .removeFrontend(let key): [.frontend(key, nil)]
    case .removeService(let number): [.service(number, nil)]
    case .removeMaglev(let service): [.maglev(service, nil)]
    case .removeRanges(let service, let blocks): blocks.map { .range(service, $0, false) }
    case .removeSlots(let table, let count): (0..<UInt32(count)).map { .slot(table, $0, nil) }
    case .removeBackend(let number): [.backend(number, nil)]
    }
  }

  mutating func apply(_ entry: Entry) {
    switch entry {
    case .backend(let number, let backend): backends[number] = backend
    case .slot(let table, let slot, let backend): slots[Slot(table: table, slot: slot)] = backend
    case .range(let service, let block, true): ranges[service, default: []].insert(block)
    case .range(let service, let block, false):
      ranges[service]?.remove(block)
      if ranges[service]?.isEmpty == true { ranges[service] = nil }
    case .maglev(let service, let table): maglev[service] = table
    case .service(let number, let service): services[number] = service
    case .frontend(let key, let frontend): frontends[key] = frontend
    }
  }

  func content() -> ServiceMapsContent {
    var content = ServiceMapsContent()
    for (key, frontend) in frontends { content.apply(.frontend(key, frontend)) }
    for (number, service) in services { content.apply(.service(number, service)) }
    for (number, backend) in backends { content.apply(.backend(number, backend)) }
    for (service, blocks) in ranges { content.apply(.ranges(service: service, Array(blocks))) }
    for (service, table) in maglev { content.apply(.maglev(service: service, table)) }
    for (table, slots) in Dictionary(grouping: slots.keys, by: \.table) {
      let count = (slots.map(\.slot).max() ?? 0) + 1
      content.apply(
        .slots(table: table, (0..<count).map { self.slots[Slot(table: table, slot: $0)] ?? 0 }))
    }
    return content
  }
}

// MARK: - What clients meet

extension ServiceModel {
  /// What one kind of client meets behind a frontend, without the numbers.
  struct Answer: Hashable {
    /// nil for one that is not there.
    var slots: [BackendAddress?]
    var locals: Set<BackendAddress>
    var affinity: UInt32
    var flags: UInt32
    var ranges: Set<CIDR>
    /// For packets of a service that is balanced so.
    var maglev: [BackendAddress?]
  }

  struct Reach: Hashable {
    var kinds: FrontendKinds
    var cluster: Answer?
    /// nil where there is none for others.
    var external: Answer?
  }

  var reach: [FrontendKey: Reach] {
    frontends.mapValues { frontend in
      Reach(
        kinds: frontend.kinds, cluster: answer(frontend.service),
        external: frontend.external == 0 ? nil : answer(frontend.external))
    }
  }

  private func answer(_ number: UInt32) -> Answer? {
    guard let service = services[number] else { return nil }
    let used = (0..<service.count).map { slots[Slot(table: service.table, slot: $0)].flatMap { backends[$0] } }
    let isMaglev = service.flags.contains(.maglev)
    return Answer(
      slots: used.map { $0?.address }, locals: Set(used.compactMap { $0 }.filter(\.isLocal).map(\.address)),
      affinity: service.affinity, flags: service.flags.rawValue, ranges: ranges[number] ?? [],
      maglev: isMaglev ? (maglev[number] ?? []).map { backends[$0]?.address } : [])
  }

  /// What every number that a frontend leads to means.
  var answers: [UInt32: Answer?] {
    frontends.values.reduce(into: [:]) { found, frontend in
      for number in [frontend.service, frontend.external] where number != 0 && found[number] == nil {
        found[number] = .some(answer(number))
      }
    }
  }

  /// Whether clients meet each frontend and each service as it was or as it is to be, by either way to a backend; if not,
  /// where. Where a backend is, is one fact of its own.
  func mix(of old: ServiceModel, and new: ServiceModel) -> String? {
    for (key, frontend) in frontends where frontend != old.frontends[key] && frontend != new.frontends[key] {
      return "frontend \(key)"
    }
    for key in Set(old.frontends.keys).intersection(new.frontends.keys) where frontends[key] == nil {
      return "frontend \(key), which is away"
    }
    for (number, answer) in answers {
      guard let answer else { return "service \(number), which is not there" }
      let possible = [old.answer(number), new.answer(number)].compactMap { $0 }
      guard possible.contains(where: { $0.entry == answer.entry }) else { return "service \(number)" }
      if !answer.maglev.isEmpty, !possible.contains(where: { $0.maglev == answer.maglev }) {
        return "the Maglev table of service \(number)"
      }
      if answer.slots.contains(nil) || answer.maglev.contains(nil) { return "the backends of service \(number)" }
    }
    return nil
  }
}

extension ServiceModel.Answer {
  /// The part of it that is one write.
  fileprivate var entry: Self {
    var entry = self
    entry.locals = []
    entry.maglev = []
    return entry
  }
}
