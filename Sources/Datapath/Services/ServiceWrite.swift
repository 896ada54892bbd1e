import Addressing
import KernelABI
import Services

/// A change of the kernel's tables of services. The numbers are those of the ABI: see martlet_services.h.
enum ServiceWrite: Hashable, Sendable {
  case backend(UInt32, KernelBackend)
  /// A whole new table, which nobody reads yet.
  case slots(table: UInt32, [UInt32])
  case ranges(service: UInt32, [CIDR])
  /// In one write: the backends' numbers, entry by entry.
  case maglev(service: UInt32, [UInt32])
  case service(UInt32, KernelService)
  case frontend(FrontendKey, KernelFrontend)
  case removeFrontend(FrontendKey)
  case removeService(UInt32)
  case removeMaglev(service: UInt32)
  case removeRanges(service: UInt32, [CIDR])
  /// Its slots are 0 ..< count.
  case removeSlots(table: UInt32, count: Int)
  case removeBackend(UInt32)
}

/// `struct martlet_frontend`.
struct KernelFrontend: Hashable, Sendable {
  var service: UInt32
  /// 0: for clients of the cluster only.
  var external: UInt32
  var kinds: FrontendKinds
}

/// `struct martlet_service`.
struct KernelService: Hashable, Sendable {
  struct Flags: OptionSet, Hashable, Sendable {
    let rawValue: UInt32
    static let maglev = Flags(rawValue: 1 << 0)
    static let sourceRanges = Flags(rawValue: 1 << 1)
    static let keepSource = Flags(rawValue: 1 << 2)
    static let drop = Flags(rawValue: 1 << 3)
  }

  /// 0 where `count` is.
  var table: UInt32
  var count: UInt32
  /// Seconds.
  var affinity: UInt32
  var flags: Flags
  /// Of the proxy; 0: none.
  var listener: UInt32 = 0
}

/// `struct martlet_backend`.
struct KernelBackend: Hashable, Sendable {
  var address: BackendAddress
  var `protocol`: TransportProtocol
  var isLocal: Bool
}

/// Where writes go: the kernel's maps, or a model of them.
protocol ServiceStore: Sendable {
  var room: ServiceMapsRoom { get }
  /// All that is there.
  func content() throws -> ServiceMapsContent
  /// Carries out writes of one kind; returns those that were refused, by their index. Removing what is not there is no
  /// error.
  mutating func write(_ writes: [ServiceWrite]) -> [Int: any Error]
}

/// How many entries each of the maps has, or can have.
struct ServiceMapsRoom: Hashable, Sendable {
  var frontends = 0
  var services = 0
  var slots = 0
  var backends = 0
  var maglev = 0
  var ranges = 0

  /// The first map in which `more` entries find no place beside `used`, and its size. What is new leaves a reserve of slots
  /// and backends, so that what is there can still change.
  func shortage(
    _ used: ServiceMapsRoom, _ more: ServiceMapsRoom, keepingReserve: Bool
  ) -> (map: String, capacity: Int)? {
    let maps: [(name: MapName, path: KeyPath<ServiceMapsRoom, Int>, share: Int)] = [
      (.backends, \.backends, 16), (.serviceSlots, \.slots, 16),
      (.sourceRanges, \.ranges, 0), (.maglev, \.maglev, 0), (.services, \.services, 0),
      (.frontends, \.frontends, 0),
    ]
    for map in maps where more[keyPath: map.path] > 0 {
      let capacity = self[keyPath: map.path]
      let reserve = keepingReserve && map.share > 0 ? capacity / map.share : 0
      if used[keyPath: map.path] + more[keyPath: map.path] > capacity - reserve { return (map.name.rawValue, capacity) }
    }
    return nil
  }

  static func += (left: inout ServiceMapsRoom, right: ServiceMapsRoom) {
    left.frontends += right.frontends
    left.services += right.services
    left.slots += right.slots
    left.backends += right.backends
    left.maglev += right.maglev
    left.ranges += right.ranges
  }
}
