import BPF
import KernelABI

/// How full one of the kernel's tables is.
public struct MapUsage: Hashable, Sendable {
  /// As `martlet bpf map list` names it.
  public let map: String
  public let entries: Int
  public let capacity: Int

  public init(map: String, entries: Int, capacity: Int) {
    self.map = map
    self.entries = entries
    self.capacity = capacity
  }

  init(_ map: MapName, entries: Int, capacity: Int) {
    self.init(map: map.rawValue, entries: entries, capacity: capacity)
  }

  /// 0 to 1.
  public var pressure: Double { capacity == 0 ? 0 : Double(entries) / Double(capacity) }
  /// From here on the node says that the table fills up.
  public static let watermark = 0.9
  public var isNearlyFull: Bool { pressure >= MapUsage.watermark }
}

extension Datapath {
  /// The tables that can run full, counted now. Not among them: those of services, which ``ServiceReconciler/usage`` has, and
  /// those that forget the oldest instead.
  public func mapUsage() throws(BPFError) -> [MapUsage] {
    [
      MapUsage(.connections, entries: try connections.count(), capacity: connections.capacity),
      MapUsage(.endpoints, entries: try endpoints.count(), capacity: endpoints.capacity),
      MapUsage(.ipcache, entries: try ipcache.count(), capacity: ipcache.capacity),
      MapUsage(.nat, entries: try translations.count(), capacity: translations.capacity),
      MapUsage(.policy, entries: try policy.identities().count, capacity: policy.capacity),
    ]
  }
}
