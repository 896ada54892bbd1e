/// Until when an exchange may do what, CLOCK_MONOTONIC in nanoseconds; 0 for no limit.
struct RoutedDeadlines {
  /// For the client to end its request.
  var request: UInt64 = 0
  /// For the response to end, from the end of the request.
  var route: UInt64 = 0
  /// For the response of this attempt to begin.
  var attempt: UInt64 = 0
  /// For the server to take the connection.
  var connect: UInt64 = 0
  /// When the next attempt begins.
  var resume: UInt64 = 0
  /// Durations without an octet from either side: of the exchange, and of this attempt before its response.
  var idle: UInt64 = 0
  var attemptIdle: UInt64 = 0

  /// The earliest of them for an exchange that was last active at `activeAt`; nil for none, or never.
  func next(activeAt: UInt64) -> UInt64? {
    // 0 becomes the greatest number.
    var next = min(min(request &- 1, route &- 1), min(attempt &- 1, connect &- 1), resume &- 1)
    if idle != 0 { next = min(next, activeAt.later(by: idle) &- 1) }
    if attemptIdle != 0 { next = min(next, activeAt.later(by: attemptIdle) &- 1) }
    return next >= .max - 1 ? nil : next &+ 1
  }

  mutating func endAttempt() {
    attempt = 0
    connect = 0
    attemptIdle = 0
  }

  static func isDue(_ deadline: UInt64, _ now: UInt64) -> Bool { deadline != 0 && deadline <= now }
}
