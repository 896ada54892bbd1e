import BPF
import KernelABI

extension ServiceMaps {
  /// How full each of them is, counted now; not those that forget the oldest instead.
  public func usage() throws(BPFError) -> [MapUsage] {
    [
      MapUsage(.frontends, entries: try frontends.count(), capacity: Int(frontends.info.maxEntries)),
      MapUsage(.services, entries: try services.count(), capacity: Int(services.info.maxEntries)),
      MapUsage(.serviceSlots, entries: try slots.count(), capacity: Int(slots.info.maxEntries)),
      MapUsage(.backends, entries: try backends.count(), capacity: Int(backends.info.maxEntries)),
      MapUsage(.maglev, entries: try maglev.entries().count, capacity: Int(maglev.raw.info.maxEntries)),
      MapUsage(.sourceRanges, entries: try ranges.count(), capacity: Int(ranges.info.maxEntries)),
    ]
  }
}
