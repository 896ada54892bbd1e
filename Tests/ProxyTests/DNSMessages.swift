import Addressing

@testable import Proxy

/// Writes messages as a resolver or a server would, octet by octet.
struct DNSBuilder {
  var bytes: [UInt8]

  /// A query with one question.
  init(query name: String, type: UInt16 = DNSType.a, id: UInt16 = 0x1234, flags: UInt16 = 0x0100) {
    bytes = DNSBuilder.words(id, flags, 1, 0, 0, 0) + DNSBuilder.name(name) + DNSBuilder.words(type, 1)
  }

  static func words(_ values: UInt16...) -> [UInt8] { values.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } }

  static func name(_ text: String) -> [UInt8] {
    text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
  }

  /// The query's own name, compressed.
  static let questionPointer: [UInt8] = [0xC0, 12]

  mutating func set(_ at: Int, _ value: UInt16) {
    bytes[at] = UInt8(value >> 8)
    bytes[at + 1] = UInt8(value & 0xFF)
  }

  mutating func becomeAnswer(code: UInt8 = 0, flags: UInt16 = 0x8180) { set(2, flags | UInt16(code)) }

  /// Adds a record to the answers; `owner` are its octets.
  mutating func answer(_ owner: [UInt8], type: UInt16, ttl: UInt32 = 60, _ data: [UInt8]) {
    set(6, (UInt16(bytes[6]) << 8 | UInt16(bytes[7])) + 1)
    bytes += owner + DNSBuilder.words(type, 1, UInt16(ttl >> 16), UInt16(ttl & 0xFFFF), UInt16(data.count)) + data
  }

  /// Answers the question.
  mutating func answer(_ address: String, ttl: UInt32 = 60) {
    answer(DNSBuilder.questionPointer, address, ttl: ttl)
  }

  mutating func answer(_ owner: [UInt8], _ address: String, ttl: UInt32 = 60) {
    let address = IPAddress(address)!
    answer(owner, type: address.isIPv4 ? DNSType.a : DNSType.aaaa, ttl: ttl, address.familyBytes)
  }

  /// Adds an OPT record, which stands last (RFC 6891).
  mutating func option(payload: UInt16 = 4096) {
    set(10, (UInt16(bytes[10]) << 8 | UInt16(bytes[11])) + 1)
    bytes += [0] + DNSBuilder.words(DNSType.opt, payload, 0, 0, 0)
  }

  var question: [UInt8] { Array(bytes[12..<(try! query().questionEnd)]) }

  func query() throws -> DNSQuery { try bytes.withUnsafeBytes { try DNSQuery($0) } }
}
