import Services

/// What nothing in the maps leads to any more, and when it may go: a packet under way may just have read what led there.
struct ServiceRetirement: Sendable {
  typealias Instant = ContinuousClock.Instant

  enum Item: Hashable, Sendable {
    /// With its ranges, its Maglev table and its slots.
    case service(UInt32)
    case table(UInt32)
    /// nil for one that no Service owns.
    case backend(UInt32, owner: PortID?)
    /// That of a service that is no longer balanced so.
    case maglev(service: UInt32)
  }

  static let delay = Duration.seconds(1)

  private var queue: [(due: Instant, item: Item)] = []
  /// The backends in the queue that have not returned meanwhile, and the service's Maglev tables likewise.
  private var pending: [Item: Instant] = [:]

  mutating func retire(_ item: Item, _ now: Instant) {
    guard pending[item] == nil else { return }
    pending[item] = now + ServiceRetirement.delay
    queue.append((now + ServiceRetirement.delay, item))
  }

  mutating func revive(_ item: Item) { if !pending.isEmpty { pending[item] = nil } }

  /// Takes out what is due, in the order in which it was retired.
  mutating func take(_ now: Instant) -> [Item] {
    let count = queue.firstIndex { $0.due > now } ?? queue.count
    var due: [Item] = []
    for element in queue.prefix(count) where pending[element.item] == element.due {
      pending[element.item] = nil
      due.append(element.item)
    }
    queue.removeFirst(count)
    return due
  }

  var nextDue: Instant? { queue.first?.due }
}
