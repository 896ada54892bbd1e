import BPF

extension ServiceMaps {
  /// How full each of them is, counted now; not those that forget the oldest instead.
  public func usage() throws(BPFError) -> [MapUsage] {
    [
      MapUsage(map: "martlet_frontends", entries: try frontends.count(), capacity: Int(frontends.info.maxEntries)),
      MapUsage(map: "martlet_services", entries: try services.count(), capacity: Int(services.info.maxEntries)),
      MapUsage(map: "martlet_service_slots", entries: try slots.count(), capacity: Int(slots.info.maxEntries)),
      MapUsage(map: "martlet_backends", entries: try backends.count(), capacity: Int(backends.info.maxEntries)),
      MapUsage(map: "martlet_maglev", entries: try maglev.entries().count, capacity: Int(maglev.raw.info.maxEntries)),
      MapUsage(map: "martlet_source_ranges", entries: try ranges.count(), capacity: Int(ranges.info.maxEntries)),
    ]
  }
}
