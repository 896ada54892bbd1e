/// Which names are meant: `matchName` or `matchPattern` of a policy, as one thing, since a name is a pattern without
/// stars.
///
/// - `*` alone, or several: every name, the root too.
/// - `*` within a label: any number, also none, of the characters a-z, 0-9, `-` and `_`; never a dot, so `*.example.com`
///   is `a.example.com`, but neither `example.com` nor `a.b.example.com`.
/// - `**.` at the beginning: one label or more.
public struct DNSNamePattern: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// In lower case, without a dot at the end; `*` for all names.
  public let text: String
  private let labels: [[UInt8]]
  private let shape: Shape

  private enum Shape: Hashable, Sendable { case everything, exact, labels, anyPrefix }

  /// - Parameter text: as the policy has it; what is no name or pattern matches nothing.
  public init(_ text: String) {
    var bytes = text.utf8.map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 }[...]
    if bytes.count > 1, bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
    let star = UInt8(ascii: "*")
    if !bytes.isEmpty, bytes.allSatisfy({ $0 == star }) {
      self.text = "*"
      labels = []
      shape = .everything
      return
    }
    self.text = String(decoding: bytes, as: UTF8.self)
    var parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map { Array($0) }
    if let first = parts.first, parts.count > 1, first.count > 1, first.allSatisfy({ $0 == star }) {
      parts.removeFirst()
      shape = .anyPrefix
    } else {
      shape = bytes.contains(star) ? .labels : .exact
    }
    labels = parts
  }

  public var description: String { text }
  public static func < (left: Self, right: Self) -> Bool { left.text < right.text }

  /// Whether the pattern names one name only; ``text`` is that name.
  public var isExact: Bool { shape == .exact }

  /// Whether every name matches.
  public var isEverything: Bool { shape == .everything }

  /// - Parameter name: labels in lower case joined by dots, without one at the end; octets that no host name has are
  ///   escaped as `\DDD` (RFC 1035, 5.1). Empty for the root.
  public func matches(_ name: String) -> Bool {
    var name = name
    return name.withUTF8 { matches($0) }
  }

  /// As `matches(_:)` on text, for octets.
  public func matches(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
    if shape == .everything { return DNSNamePattern.isPlain(name) }
    // Labels are compared from the last: only the first ones can be many.
    var end = name.count
    var index = labels.count - 1
    while index >= 0 {
      var start = end
      while start > 0, name[start - 1] != UInt8(ascii: ".") { start -= 1 }
      guard DNSNamePattern.matches(labels[index], name, start..<end) else { return false }
      if start == 0 { return index == 0 && shape != .anyPrefix }
      end = start - 1
      index -= 1
    }
    guard shape == .anyPrefix, end > 0 else { return false }
    return DNSNamePattern.isPlain(UnsafeBufferPointer(rebasing: name[..<end]))
  }

  /// One label against one label of the pattern: a failed attempt goes back to the last star only.
  private static func matches(
    _ pattern: [UInt8], _ name: UnsafeBufferPointer<UInt8>, _ range: Range<Int>
  ) -> Bool {
    pattern.withUnsafeBufferPointer { pattern in
      var at = 0
      var position = range.lowerBound
      var star = -1
      var resume = 0
      while position < range.upperBound {
        if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
          star = at
          resume = position
          at += 1
        } else if at < pattern.count, pattern[at] == name[position] {
          at += 1
          position += 1
        } else if star >= 0, isPlain(name[resume]) {
          resume += 1
          position = resume
          at = star + 1
        } else {
          return false
        }
      }
      while at < pattern.count, pattern[at] == UInt8(ascii: "*") { at += 1 }
      return at == pattern.count
    }
  }

  private static func isPlain(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
    name.allSatisfy { isPlain($0) || $0 == UInt8(ascii: ".") }
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    0x61...0x7A ~= byte || 0x30...0x39 ~= byte || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
  }
}
