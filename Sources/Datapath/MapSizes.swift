import BPF
import KernelABI

/// The maps whose size an operator may choose, by the names that `maps:` of a configuration file knows them by.
public enum SizedMap: String, Sendable, CaseIterable {
  case endpoints, ipcache, policies, connections, fragments, events
  case frontends, services, serviceSlots, backends, maglev, sourceRanges, affinity, nat, directReturns
  /// The policy of one identity, which has a map of its own.
  case policyEntries

  /// nil for what is no map of the object.
  var mapName: MapName? {
    switch self {
    case .endpoints: .endpoints
    case .ipcache: .ipcache
    case .policies: .policy
    case .connections: .connections
    case .fragments: .fragments
    case .events: .events
    case .frontends: .frontends
    case .services: .services
    case .serviceSlots: .serviceSlots
    case .backends: .backends
    case .maglev: .maglev
    case .sourceRanges: .sourceRanges
    case .affinity: .affinity
    case .nat: .nat
    case .directReturns: .directReturns
    case .policyEntries: nil
    }
  }

  /// Why a map can not have this size; nil when it can. Entries, for `events` bytes.
  public func problem(size: Int64) -> String? {
    switch self {
    case .events where size < 4096 || size > 1 << 30 || size & (size - 1) != 0:
      "must be a power of two of bytes, from 4096 to \(1 << 30)"
    case _ where size < 1 || size > 1 << 24: "must be from 1 to \(1 << 24)"
    default: nil
    }
  }
}

/// Sizes other than the programs' own. Maps grow with their content up to these, so a large size costs nothing by itself;
/// only `fragments`, `affinity` and `events` take their memory at once.
public struct MapSizes: Hashable, Sendable {
  public var sizes: [SizedMap: UInt32]

  public init(_ sizes: [SizedMap: UInt32] = [:]) { self.sizes = sizes }

  func apply(to object: inout ObjectSpecification) {
    for (map, size) in sizes {
      if let name = map.mapName { object[name.rawValue]?.maxEntries = size }
    }
  }
}
