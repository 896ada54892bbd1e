import KernelABI

extension ServiceReconciler {
  /// How full each of the maps is, as it is followed: to count tens of thousands of entries in the kernel takes a tenth of a
  /// second. Not those that forget the oldest instead.
  public var usage: [MapUsage] {
    let (used, room) = (held.used, store.room)
    return [
      MapUsage(.frontends, entries: used.frontends, capacity: room.frontends),
      MapUsage(.services, entries: used.services, capacity: room.services),
      MapUsage(.serviceSlots, entries: used.slots, capacity: room.slots),
      MapUsage(.backends, entries: used.backends, capacity: room.backends),
      MapUsage(.maglev, entries: used.maglev, capacity: room.maglev),
      MapUsage(.sourceRanges, entries: used.ranges, capacity: room.ranges),
    ]
  }
}
