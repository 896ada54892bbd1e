#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Times as flows carry them: nanoseconds since the epoch.
public enum Timestamp {
  public static func now() -> UInt64 { read(CLOCK_REALTIME) }

  /// The time at which CLOCK_MONOTONIC was zero, in nanoseconds since the epoch.
  public static func bootTime() -> UInt64 { read(CLOCK_REALTIME) &- read(CLOCK_MONOTONIC) }

  /// RFC 3339 in UTC with nanoseconds: `2026-11-22T10:20:30.000000001Z`.
  public static func text(_ time: UInt64) -> String {
    let parts = parts(time)
    return "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))T"
      + clock(parts) + ".\(pad(Int(time % 1_000_000_000), 9))Z"
  }

  /// As `hubble observe` shows it: `Nov 22 10:20:30.123`.
  public static func compact(_ time: UInt64) -> String {
    let parts = parts(time)
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let day = parts.tm_mday < 10 ? " \(parts.tm_mday)" : "\(parts.tm_mday)"
    return "\(months[Int(parts.tm_mon)]) \(day) \(clock(parts)).\(pad(Int(time % 1_000_000_000 / 1_000_000), 3))"
  }

  private static func clock(_ parts: tm) -> String {
    "\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
  }

  private static func parts(_ time: UInt64) -> tm {
    var seconds = time_t(time / 1_000_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    return parts
  }

  private static func pad(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
