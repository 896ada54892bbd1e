@testable import HTTP2

/// A field as text.
struct TextField: Hashable, Sendable, CustomStringConvertible {
  var name: String
  var value: String
  var indexing = FieldIndexing.indexed

  init(_ name: String, _ value: String, _ indexing: FieldIndexing = .indexed) {
    self.name = name
    self.value = value
    self.indexing = indexing
  }

  var description: String { "\(name): \(value)" }
}

extension HeaderList {
  init(_ fields: [TextField], limit: Int = 65536) {
    self.init(limit: limit)
    for field in fields { add(field) }
  }

  mutating func add(_ field: TextField) {
    Array(field.name.utf8).withUnsafeBytes { name in
      Array(field.value.utf8).withUnsafeBytes { add(name, $0, indexing: field.indexing) }
    }
  }

  var all: [TextField] {
    (0..<count).map {
      TextField(
        String(decoding: name($0), as: UTF8.self), String(decoding: value($0), as: UTF8.self), self[$0].indexing)
    }
  }
}

/// A decoder with its list.
final class TestDecoder {
  var decoder: HPACKDecoder
  var list: HeaderList

  init(tableSize: Int = 4096, limit: Int = 65536) {
    decoder = HPACKDecoder(tableSize: tableSize)
    list = HeaderList(limit: limit)
  }

  deinit {
    decoder.deallocate()
    list.deallocate()
  }

  func decode(_ bytes: [UInt8]) -> HTTP2Fault? {
    bytes.withUnsafeBufferPointer { buffer in
      // Memory of just this size: what reads beyond it is seen by the sanitizer.
      guard let base = buffer.baseAddress else { return nil }
      return decoder.decode(base, count: buffer.count, into: &list)
    }
  }
}

/// An encoder with room.
final class TestEncoder {
  var encoder: HPACKEncoder

  init(tableSize: Int = 4096) { encoder = HPACKEncoder(tableSize: tableSize) }

  deinit { encoder.deallocate() }

  func encode(_ fields: [TextField]) -> [UInt8] {
    let list = HeaderList(fields, limit: 1 << 20)
    defer { list.deallocate() }
    return written(HPACKEncoder.bound(list)) { encoder.encode(list, to: &$0) }
  }
}

/// What `body` writes; it must fit into `capacity`.
func written(_ capacity: Int, _ body: (inout OctetWriter) -> Void) -> [UInt8] {
  let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
  defer { memory.deallocate() }
  var writer = OctetWriter(memory, capacity: capacity)
  body(&writer)
  precondition(!writer.hasOverflown)
  return Array(UnsafeBufferPointer(start: memory, count: writer.count))
}

/// Octets of hexadecimal text with blanks.
func octets(_ text: String) -> [UInt8] {
  let digits = text.filter { !$0.isWhitespace }
  var result: [UInt8] = []
  var rest = digits[...]
  while let octet = UInt8(rest.prefix(2), radix: 16) {
    result.append(octet)
    rest = rest.dropFirst(2)
  }
  return result
}
