import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Writes a message into memory of a fixed size; what does not fit is left out and told.
struct HeadWriter {
  private let base: UnsafeMutablePointer<UInt8>
  private let capacity: Int
  private(set) var count = 0
  private(set) var hasOverflown = false

  init(_ base: UnsafeMutablePointer<UInt8>, capacity: Int) {
    self.base = base
    self.capacity = capacity
  }

  var room: Int { capacity &- count }

  mutating func put(_ bytes: UnsafePointer<UInt8>?, _ length: Int) {
    guard let bytes, length > 0 else { return }
    guard length <= room else {
      hasOverflown = true
      return
    }
    memcpy(base + count, bytes, length)
    count &+= length
  }

  mutating func put(_ text: StaticString) { put(text.utf8Start, text.utf8CodeUnitCount) }

  mutating func put(_ bytes: some Collection<UInt8>) {
    let found: Void? = bytes.withContiguousStorageIfAvailable { put($0.baseAddress, $0.count) }
    if found == nil { Array(bytes).withUnsafeBufferPointer { put($0.baseAddress, $0.count) } }
  }

  mutating func put(_ range: ByteRange, of bytes: UnsafePointer<UInt8>) { put(bytes + range.start, range.count) }

  mutating func put(decimal number: Int) {
    var divisor = 1
    while number / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      var digit = UInt8(truncatingIfNeeded: number / divisor % 10 + 0x30)
      put(&digit, 1)
      divisor /= 10
    }
  }

  /// The line of a field as it stands in a head that was parsed, with its end.
  mutating func put(line: FieldLine, of bytes: UnsafePointer<UInt8>) {
    var end = line.value.end
    while bytes[end] != Octet.lineFeed { end &+= 1 }
    put(bytes + line.name.start, end &+ 1 &- line.name.start)
  }

  /// The lines that some edits add.
  mutating func putAdded(_ edits: HeaderEdits) {
    for line in edits.added where !HeaderEdits.isFraming(line.name) {
      put(line.name.utf8)
      put(": ")
      put(line.value)
      put("\r\n")
    }
  }
}

extension HeaderEdits {
  static func isFraming(_ name: String) -> Bool { framing.contains(name) }

  /// Whether a line of that name goes.
  func removes(_ name: ByteRange, in bytes: UnsafePointer<UInt8>) -> Bool {
    removed.contains { name.spells($0, in: bytes) && !HeaderEdits.isFraming($0) }
  }
}

extension ByteRange {
  /// Whether the range of `bytes` spells `text`, which must be lower case, in any case.
  func spells(_ text: String, in bytes: UnsafePointer<UInt8>) -> Bool {
    guard text.utf8.count == count else { return false }
    var at = start
    for octet in text.utf8 {
      if Octet.lowercase(bytes[at]) != octet { return false }
      at &+= 1
    }
    return true
  }
}
