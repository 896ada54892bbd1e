/// What all spans of a trace share: 16 octets, not all zero (W3C Trace Context, 3.2.2.3).
public struct TraceID: Hashable, Sendable {
  public let high: UInt64
  public let low: UInt64

  public static let none = TraceID(high: 0, low: 0)

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  public var isNone: Bool { high == 0 && low == 0 }

  /// 32 digits in lower case.
  public var text: String { UInt64.hexadecimal(high) + UInt64.hexadecimal(low) }
}

extension UInt64 {
  /// 16 digits in lower case.
  static func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// 1 to 16 digits; capital letters only where they are allowed.
  init?(hexadecimal text: some Collection<UInt8>, allowsCapitals: Bool) {
    guard 1...16 ~= text.count else { return nil }
    var number: UInt64 = 0
    for byte in text {
      let digit: UInt8
      switch byte {
      case 48...57: digit = byte - 48
      case 97...102: digit = byte - 87
      case 65...70 where allowsCapitals: digit = byte - 55
      default: return nil
      }
      number = number << 4 | UInt64(digit)
    }
    self = number
  }
}
