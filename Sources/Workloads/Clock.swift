import Glibc

/// Time as the API writes it and as deadlines need it.
enum Clock {
  /// CLOCK_MONOTONIC.
  static func monotonicMilliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// Now in RFC 3339, in seconds and UTC: `2026-11-23T04:00:00Z`, Kubernetes' metav1.Time.
  static func now() -> String { rfc3339(time(nil)) }

  static func rfc3339(_ seconds: time_t) -> String {
    var seconds = seconds
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ number: Int32) -> String { (number < 10 ? "0" : "") + String(number) }
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
      + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
  }
}
