#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Points in time as text and back: nanoseconds or seconds since 1970, RFC 3339 in UTC.
public enum Timestamp {
  /// Nanoseconds since 1970.
  public static func now() -> UInt64 { read(CLOCK_REALTIME) }

  /// Whole seconds since 1970.
  public static func seconds() -> Int { time(nil) }

  /// The time at which CLOCK_MONOTONIC was zero, in nanoseconds since 1970.
  public static func bootTime() -> UInt64 { read(CLOCK_REALTIME) &- read(CLOCK_MONOTONIC) }

  /// With nanoseconds: `2026-11-22T10:20:30.000000001Z`.
  public static func text(_ nanoseconds: UInt64) -> String {
    let (parts, rest) = split(nanoseconds)
    return "\(day(parts))T\(clock(parts)).\(pad(rest, 9))Z"
  }

  /// In milliseconds, as logs have it: `2026-11-22T10:20:30.123Z`.
  public static func milliseconds(_ nanoseconds: UInt64) -> String {
    let (parts, rest) = split(nanoseconds)
    return "\(day(parts))T\(clock(parts)).\(pad(rest / 1_000_000, 3))Z"
  }

  /// In seconds, as Kubernetes writes it (metav1.Time): `2026-11-22T10:20:30Z`.
  public static func text(seconds: Int) -> String {
    let parts = parts(seconds)
    return "\(day(parts))T\(clock(parts))Z"
  }

  /// Now, as Kubernetes writes it.
  public static var nowText: String { text(seconds: seconds()) }

  /// As `hubble observe` shows it: `Nov 22 10:20:30.123`.
  public static func compact(_ nanoseconds: UInt64) -> String {
    let (parts, rest) = split(nanoseconds)
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let day = parts.tm_mday < 10 ? " \(parts.tm_mday)" : "\(parts.tm_mday)"
    return "\(months[Int(parts.tm_mon)]) \(day) \(clock(parts)).\(pad(rest / 1_000_000, 3))"
  }

  private static func split(_ nanoseconds: UInt64) -> (tm, Int) {
    (parts(Int(nanoseconds / 1_000_000_000)), Int(nanoseconds % 1_000_000_000))
  }

  private static func parts(_ seconds: Int) -> tm {
    var seconds = time_t(seconds)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    return parts
  }

  private static func day(_ parts: tm) -> String {
    "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))"
  }

  private static func clock(_ parts: tm) -> String {
    "\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
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
