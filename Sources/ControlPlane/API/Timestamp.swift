import Glibc

/// Times as Kubernetes writes them: RFC 3339 in UTC.
enum Timestamp {
  /// Seconds since 1970.
  static var now: Int { time(nil) }

  static func string(_ seconds: Int) -> String {
    var seconds = time_t(seconds)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    return pad(Int(parts.tm_year) + 1900, 4) + "-" + pad(Int(parts.tm_mon) + 1) + "-" + pad(Int(parts.tm_mday)) + "T"
      + pad(Int(parts.tm_hour)) + ":" + pad(Int(parts.tm_min)) + ":" + pad(Int(parts.tm_sec)) + "Z"
  }

  static var nowString: String { string(now) }

  /// Seconds since 1970 of an RFC 3339 time; fractions of a second are dropped. Nil when it is none.
  static func seconds(_ text: some StringProtocol) -> Int? {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes[4] == 45, bytes[7] == 45, bytes[10] == 84 || bytes[10] == 116,
      bytes[13] == 58, bytes[16] == 58
    else { return nil }
    func number(_ range: Range<Int>) -> Int? {
      var value = 0
      for byte in bytes[range] {
        guard 48...57 ~= byte else { return nil }
        value = value * 10 + Int(byte - 48)
      }
      return value
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
      let minute = number(14..<16), let second = number(17..<19),
      1...12 ~= month, 1...31 ~= day, hour < 24, minute < 60, second < 61
    else { return nil }
    var position = 19
    if bytes[position] == 46 {
      position += 1
      let start = position
      while position < bytes.count, 48...57 ~= bytes[position] { position += 1 }
      guard position > start else { return nil }
    }
    var offset = 0
    switch position < bytes.count ? bytes[position] : 0 {
    case 90, 122:
      guard position + 1 == bytes.count else { return nil }
    case 43, 45:
      guard position + 6 == bytes.count, bytes[position + 3] == 58, let hours = number(position + 1..<position + 3),
        let minutes = number(position + 4..<position + 6)
      else { return nil }
      offset = (hours * 60 + minutes) * 60 * (bytes[position] == 43 ? 1 : -1)
    default: return nil
    }
    var parts = tm()
    parts.tm_year = Int32(year - 1900)
    parts.tm_mon = Int32(month - 1)
    parts.tm_mday = Int32(day)
    parts.tm_hour = Int32(hour)
    parts.tm_min = Int32(minute)
    parts.tm_sec = Int32(second)
    return timegm(&parts) - offset
  }

  /// How long ago, as kubectl writes an age: `5s`, `3m10s`, `2h`, `4d`.
  static func age(of text: String, now: Int) -> String {
    guard let then = seconds(text) else { return "<unknown>" }
    let total = max(0, now - then)
    let (minutes, hours, days) = (total / 60, total / 3600, total / 86400)
    func pair(_ big: Int, _ bigUnit: String, _ small: Int, _ smallUnit: String) -> String {
      small == 0 ? "\(big)\(bigUnit)" : "\(big)\(bigUnit)\(small)\(smallUnit)"
    }
    if total < 120 { return "\(total)s" }
    if minutes < 10 { return pair(minutes, "m", total % 60, "s") }
    if minutes < 180 { return "\(minutes)m" }
    if hours < 8 { return pair(hours, "h", minutes % 60, "m") }
    if hours < 48 { return "\(hours)h" }
    if hours < 192 { return pair(days, "d", hours % 24, "h") }
    if days < 730 { return "\(days)d" }
    if days < 8 * 365 { return pair(days / 365, "y", days % 365, "d") }
    return "\(days / 365)y"
  }

  private static func pad(_ number: Int, _ width: Int = 2) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
