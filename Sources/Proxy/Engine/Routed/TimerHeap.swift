/// Points in time at which something is to be looked at, the earliest first: a binary heap.
///
/// Nothing is ever taken out before its time. Whoever moves a deadline back leaves the timer where it is and sets it again
/// when it comes up, so that a deadline for each request costs nothing while none of them is reached.
struct TimerHeap {
  struct Timer {
    /// CLOCK_MONOTONIC in nanoseconds.
    var deadline: UInt64
    /// What it is about.
    var number: UInt32
    /// Tells a timer from one that was set for an earlier bearer of the same number.
    var stamp: UInt32
  }

  private var timers: [Timer] = []

  /// The earliest deadline.
  var first: UInt64? { timers.first?.deadline }

  mutating func add(_ timer: Timer) {
    timers.append(timer)
    var at = timers.count &- 1
    while at > 0 {
      let parent = (at &- 1) / 2
      guard timers[at].deadline < timers[parent].deadline else { return }
      timers.swapAt(at, parent)
      at = parent
    }
  }

  /// Takes the earliest timer out if its time has come.
  mutating func take(until now: UInt64) -> Timer? {
    guard let first = timers.first, first.deadline <= now else { return nil }
    let last = timers.removeLast()
    guard !timers.isEmpty else { return first }
    timers[0] = last
    var at = 0
    while true {
      var least = at
      for child in [2 &* at &+ 1, 2 &* at &+ 2]
      where child < timers.count && timers[child].deadline < timers[least].deadline {
        least = child
      }
      guard least != at else { return first }
      timers.swapAt(at, least)
      at = least
    }
  }
}
