/// Points in time at which something is to be looked at, the earliest first: a binary heap, with one timer for each number.
///
/// Nothing is ever taken out before its time. Whoever moves a deadline back leaves the timer where it is and sets it again
/// when it comes up, so that a deadline for each request costs nothing while none of them is reached.
struct TimerHeap {
  struct Timer {
    /// CLOCK_MONOTONIC in nanoseconds.
    var deadline: UInt64
    /// What it is about; they are few, and count from 0.
    var number: UInt32
  }

  private var timers: [Timer] = []
  /// Where in `timers` that of each number is; -1: it has none.
  private var places: [Int] = []

  /// The earliest deadline.
  var first: UInt64? { timers.first?.deadline }

  var count: Int { timers.count }

  /// Sees to it that the number comes up at `deadline`, or before if its timer is set for earlier.
  mutating func set(_ number: UInt32, at deadline: UInt64) {
    let number = Int(number)
    while places.count <= number { places.append(-1) }
    var at = places[number]
    if at < 0 {
      at = timers.count
      timers.append(Timer(deadline: deadline, number: UInt32(number)))
      places[number] = at
    } else {
      guard deadline < timers[at].deadline else { return }
      timers[at].deadline = deadline
    }
    while at > 0 {
      let parent = (at &- 1) / 2
      guard timers[at].deadline < timers[parent].deadline else { return }
      swap(at, parent)
      at = parent
    }
  }

  /// Takes the earliest timer out if its time has come.
  mutating func take(until now: UInt64) -> Timer? {
    guard let first = timers.first, first.deadline <= now else { return nil }
    swap(0, timers.count &- 1)
    timers.removeLast()
    places[Int(first.number)] = -1
    var at = 0
    while true {
      var least = at
      for child in [2 &* at &+ 1, 2 &* at &+ 2]
      where child < timers.count && timers[child].deadline < timers[least].deadline {
        least = child
      }
      guard least != at else { return first }
      swap(at, least)
      at = least
    }
  }

  private mutating func swap(_ one: Int, _ other: Int) {
    timers.swapAt(one, other)
    places[Int(timers[one].number)] = one
    places[Int(timers[other].number)] = other
  }
}
