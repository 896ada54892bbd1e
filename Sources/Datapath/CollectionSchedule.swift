/// When to look at the connection table again: the sooner the faster it fills.
///
/// Pure, so that it can be tested: what it is told is all it knows.
public struct CollectionSchedule: Sendable {
  /// The longest pause, of a table at rest.
  public static let longest = Duration.seconds(5)
  public static let shortest = Duration.milliseconds(200)
  /// No more than this part of a processor goes into collecting.
  static let share = 10

  private var before: Int?

  public init() {}

  /// How long to wait after a collection.
  ///
  /// - Parameters:
  ///   - live: connections that are left.
  ///   - elapsed: time since the collection before.
  ///   - took: how long the collection took.
  public mutating func pause(live: Int, capacity: Int, elapsed: Duration, took: Duration) -> Duration {
    defer { before = live }
    var pause = CollectionSchedule.longest
    // Half of the time until three quarters are full, if it goes on like this.
    let growth = live - (before ?? live)
    if growth > 0 {
      let room = max(0, capacity * 3 / 4 - live)
      pause = min(pause, elapsed * Double(room) / Double(2 * growth))
    }
    if live * 4 >= capacity * 3 {
      pause = CollectionSchedule.shortest
    } else if live * 2 >= capacity {
      pause = min(pause, .seconds(1))
    }
    return max(pause, CollectionSchedule.shortest, took * CollectionSchedule.share)
  }
}
