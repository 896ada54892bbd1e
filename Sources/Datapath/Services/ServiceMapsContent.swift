import Addressing
import Services

/// What the kernel's tables of services hold, as values.
struct ServiceMapsContent: Hashable, Sendable {
  var frontends: [FrontendKey: KernelFrontend] = [:]
  var services: [UInt32: KernelService] = [:]
  /// Table -> the backends in its slots.
  var slots: [UInt32: [UInt32]] = [:]
  /// Service -> a digest of its table: the tables themselves are 64 KiB each.
  var maglev: [UInt32: UInt64] = [:]
  var backends: [UInt32: KernelBackend] = [:]
  var ranges: [UInt32: Set<CIDR>] = [:]
  /// Numbers of services and backends that other maps still know, and that must not come to mean something else.
  var remembered: UInt32 = 0
  private(set) var slotCount = 0
  private(set) var rangeCount = 0

  init() {}

  var used: ServiceMapsRoom {
    ServiceMapsRoom(
      frontends: frontends.count, services: services.count, slots: slotCount, backends: backends.count,
      maglev: maglev.count, ranges: rangeCount)
  }

  /// The greatest number that is in use for anything.
  var greatestNumber: UInt32 {
    max(
      remembered, services.keys.max() ?? 0, slots.keys.max() ?? 0, maglev.keys.max() ?? 0, backends.keys.max() ?? 0,
      ranges.keys.max() ?? 0, services.values.lazy.map(\.table).max() ?? 0)
  }

  mutating func apply(_ write: ServiceWrite) {
    switch write {
    case .backend(let number, let backend): backends[number] = backend
    case .slots(let table, let numbers):
      slotCount += numbers.count - (slots[table]?.count ?? 0)
      slots[table] = numbers
    case .ranges(let service, let blocks):
      rangeCount -= ranges[service]?.count ?? 0
      ranges[service, default: []].formUnion(blocks)
      rangeCount += ranges[service]?.count ?? 0
    case .maglev(let service, let table): maglev[service] = ServiceMapsContent.digest(table)
    case .service(let number, let service): services[number] = service
    case .frontend(let key, let frontend): frontends[key] = frontend
    case .removeFrontend(let key): frontends[key] = nil
    case .removeService(let number): services[number] = nil
    case .removeMaglev(let service): maglev[service] = nil
    case .removeRanges(let service, let blocks):
      rangeCount -= ranges[service]?.count ?? 0
      ranges[service]?.subtract(blocks)
      if ranges[service]?.isEmpty == true { ranges[service] = nil }
      rangeCount += ranges[service]?.count ?? 0
    case .removeSlots(let table, _): slotCount -= slots.removeValue(forKey: table)?.count ?? 0
    case .removeBackend(let number): backends[number] = nil
    }
  }

  /// FNV-1a, over words.
  static func digest(_ table: some Sequence<UInt32>) -> UInt64 {
    table.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
  }
}
