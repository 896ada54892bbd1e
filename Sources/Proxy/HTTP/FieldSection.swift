import Routing

/// One field of a head, as ranges of the head's octets; the value without the white space around it.
public struct FieldLine {
  public var name: ByteRange
  public var value: ByteRange
}

/// The fields of a head, in storage that its owner allocated once.
struct FieldSection {
  let storage: UnsafeMutablePointer<FieldLine>
  private(set) var count = 0

  static let capacity = 256

  init() {
    storage = .allocate(capacity: Self.capacity)
  }

  func deallocate() { storage.deallocate() }

  /// The trace that the head's `traceparent` names.
  func traceID(_ bytes: UnsafePointer<UInt8>) -> TraceID {
    for line in lines where line.name.count == 11 && line.name.equalsIgnoringCase("traceparent", in: bytes) {
      return TraceContext.traceID(
        ofParent: UnsafeRawBufferPointer(start: bytes + line.value.start, count: line.value.count))
    }
    return .none
  }

  var lines: UnsafeBufferPointer<FieldLine> { UnsafeBufferPointer(start: storage, count: count) }

  /// Parses the field lines of a head that `HeadScanner` found complete: from `start`, the octet after the first line,
  /// to the empty line that ends at `length` (RFC 9112, 5). Each line feed is known to follow a carriage return.
  mutating func parse(_ bytes: UnsafePointer<UInt8>, from start: Int, length: Int) -> HTTPFault? {
    count = 0
    let end = length &- 2
    var at = start
    while at < end {
      if bytes[at] == Octet.space || bytes[at] == Octet.tab { return .foldedField }
      let nameStart = at
      while Octet.isToken(bytes[at]) { at &+= 1 }
      guard at > nameStart, bytes[at] == Octet.colon else { return .invalidFieldName }
      let name = ByteRange(start: nameStart, count: at &- nameStart)
      at &+= 1
      while bytes[at] == Octet.space || bytes[at] == Octet.tab { at &+= 1 }
      let valueStart = at
      at = Self.endOfValue(bytes, from: at, length: length)
      guard bytes[at] == Octet.carriageReturn else { return .invalidFieldValue }
      guard bytes[at &+ 1] == Octet.lineFeed else { return .bareCarriageReturn }
      var valueEnd = at
      while valueEnd > valueStart, bytes[valueEnd &- 1] == Octet.space || bytes[valueEnd &- 1] == Octet.tab {
        valueEnd &-= 1
      }
      at &+= 2
      guard count < Self.capacity else { return .tooManyFields }
      storage[count] = FieldLine(name: name, value: ByteRange(start: valueStart, count: valueEnd &- valueStart))
      count &+= 1
    }
    return nil
  }

  /// The first octet from `from` on that no field value may hold, which in a good line is its carriage return.
  @inline(__always)
  private static func endOfValue(_ bytes: UnsafePointer<UInt8>, from: Int, length: Int) -> Int {
    var at = from
    let raw = UnsafeRawPointer(bytes)
    // Eight octets at once: a borrow into the high bit tells an octet below 0x20, or one that is 0x7F.
    while at &+ 8 <= length {
      let word = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      let below = (word &- 0x2020_2020_2020_2020) & ~word
      let flipped = word ^ 0x7F7F_7F7F_7F7F_7F7F
      let delete = (flipped &- 0x0101_0101_0101_0101) & ~flipped
      if (below | delete) & 0x8080_8080_8080_8080 == 0 {
        at &+= 8
        continue
      }
      let stop = at &+ 8
      while at < stop, Octet.isFieldValue(bytes[at]) { at &+= 1 }
      if at < stop { return at }
    }
    while at < length, Octet.isFieldValue(bytes[at]) { at &+= 1 }
    return at
  }
}
