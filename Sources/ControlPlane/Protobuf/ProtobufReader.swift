/// Reads the wire format of Protocol Buffers.
struct ProtobufReader {
  enum Value {
    case varint(UInt64)
    case bytes(ArraySlice<UInt8>)
    /// Fixed-width numbers, which no served kind uses.
    case fixed
  }

  struct Malformed: Error {}

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The next field; nil at the end.
  mutating func next() throws(Malformed) -> (number: Int, value: Value)? {
    if rest.isEmpty { return nil }
    let tag = try varint()
    guard let number = Int(exactly: tag >> 3), number > 0 else { throw Malformed() }
    switch tag & 7 {
    case 0: return (number, .varint(try varint()))
    case 1:
      _ = try take(8)
      return (number, .fixed)
    case 2:
      guard let count = Int(exactly: try varint()) else { throw Malformed() }
      return (number, .bytes(try take(count)))
    case 5:
      _ = try take(4)
      return (number, .fixed)
    default: throw Malformed()
    }
  }

  private mutating func varint() throws(Malformed) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 70, by: 7) {
      guard let byte = rest.popFirst() else { throw Malformed() }
      value |= UInt64(byte & 0x7F) << UInt64(min(shift, 63))
      if byte < 0x80 { return value }
    }
    throw Malformed()
  }

  private mutating func take(_ count: Int) throws(Malformed) -> ArraySlice<UInt8> {
    guard count >= 0, count <= rest.count else { throw Malformed() }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }
}
