#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Timestamp {
  /// Seconds since 1970 of an RFC 3339 time; fractions of a second are dropped. Nil when it is none.
  public static func seconds(of text: some StringProtocol) -> Int? {
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
}
