/// How a point in time is written: strftime(3)'s conversions, in UTC, and Envoy's own, `%s` with the seconds since 1970 and
/// `%f`, `%1f` to `%9f` with the fraction of a second.
public struct LogTimeFormat: Hashable, Sendable {
  public enum Part: Hashable, Sendable {
    /// A format of strftime(3), and the zero behind it.
    case calendar([CChar])
    case seconds
    /// With so many digits.
    case fraction(Int)
  }

  public let parts: [Part]

  static let standard: Substring = "%Y-%m-%dT%H:%M:%S.%3fZ"
  private static let conversions = Set("aAbBCdDeFgGhHIjklmMnprRStTuUVwWyYzZ%")

  /// nil for a conversion that is not known.
  init?(_ text: Substring) {
    guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
    var parts: [Part] = []
    var calendar = ""
    func ended() -> [Part] { calendar.isEmpty ? [] : [.calendar(calendar.utf8.map(CChar.init(bitPattern:)) + [0])] }
    var rest = text
    while let character = rest.popFirst() {
      guard character == "%" else {
        calendar.append(character)
        continue
      }
      guard var kind = rest.popFirst() else { return nil }
      var own: Part?
      if kind == "s" { own = .seconds }
      if kind == "f" { own = .fraction(9) }
      if let digits = kind.wholeNumberValue, kind.isASCII, 1...9 ~= digits {
        guard let letter = rest.popFirst(), letter == "f" else { return nil }
        kind = letter
        own = .fraction(digits)
      }
      if let own {
        parts += ended() + [own]
        calendar = ""
        continue
      }
      guard LogTimeFormat.conversions.contains(kind) else { return nil }
      calendar += "%\(kind)"
    }
    self.parts = parts + ended()
  }
}
