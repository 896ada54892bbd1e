import HTTP2

typealias Octet = HTTP2.Octet

/// A part of a head: offset and length in octets.
public struct ByteRange: Hashable, Sendable {
  public var start: Int
  public var count: Int

  public init(start: Int = 0, count: Int = 0) {
    self.start = start
    self.count = count
  }

  @inline(__always) var end: Int { start &+ count }

  /// Whether the range of `bytes` spells `text`, which must be lower case, in any case.
  func equalsIgnoringCase(_ text: StaticString, in bytes: UnsafePointer<UInt8>) -> Bool {
    guard text.utf8CodeUnitCount == count else { return false }
    let expected = text.utf8Start
    for index in 0..<count where Octet.lowercase(bytes[start &+ index]) != expected[index] { return false }
    return true
  }

  func string(in bytes: UnsafePointer<UInt8>) -> String {
    String(decoding: UnsafeBufferPointer(start: bytes + start, count: count), as: UTF8.self)
  }
}
