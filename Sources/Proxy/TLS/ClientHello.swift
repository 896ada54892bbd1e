/// The body of a ClientHello (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2).
enum ClientHello {
  /// The name in its server_name extension (RFC 6066, 3) in lower case; nil when there is none.
  static func serverName(_ body: ArraySlice<UInt8>) throws(TLSFault) -> String? {
    var reader = TLSReader(body)
    // legacy_version, random
    guard try reader.octet() == 3 else { throw .malformed }
    _ = try reader.take(1 + 32)
    let session = try reader.vector8()
    let suites = try reader.vector16()
    let compression = try reader.vector8()
    guard session.count <= 32, !suites.isEmpty, suites.count.isMultiple(of: 2), !compression.isEmpty else {
      throw .malformed
    }
    // TLS 1.2 and older may have no extensions at all.
    if reader.isAtEnd { return nil }
    var extensions = TLSReader(try reader.vector16())
    guard reader.isAtEnd else { throw .malformed }
    var name: String?
    var seen: Set<UInt16> = []
    while !extensions.isAtEnd {
      let type = try extensions.number16()
      let data = try extensions.vector16()
      // RFC 8446, 4.2: of two names the server might take the other.
      guard seen.insert(type).inserted else { throw .malformed }
      if type == 0 { name = try ClientHello.hostName(data) }
    }
    return name
  }

  /// A ServerNameList of one host_name: there is no other type, and no type may occur twice.
  private static func hostName(_ data: ArraySlice<UInt8>) throws(TLSFault) -> String {
    var outer = TLSReader(data)
    var list = TLSReader(try outer.vector16())
    guard outer.isAtEnd, try list.octet() == 0 else { throw .malformed }
    let name = try list.vector16()
    guard list.isAtEnd, (1...255).contains(name.count) else { throw .malformed }
    var labelLength = 0
    var text: [UInt8] = []
    for byte in name {
      switch byte {
      case UInt8(ascii: "."):
        guard labelLength > 0 else { throw .malformed }
        labelLength = 0
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"):
        labelLength += 1
        guard labelLength <= 63 else { throw .malformed }
      default: throw .malformed
      }
      text.append(0x41...0x5A ~= byte ? byte | 0x20 : byte)
    }
    // RFC 6066, 3: without a dot at the end.
    guard labelLength > 0 else { throw .malformed }
    return String(decoding: text, as: UTF8.self)
  }
}

/// Reads numbers and vectors as TLS writes them, big-endian; what is cut short is malformed.
struct TLSReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func take(_ count: Int) throws(TLSFault) -> ArraySlice<UInt8> {
    guard rest.count >= count else { throw .malformed }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  mutating func octet() throws(TLSFault) -> UInt8 {
    guard let first = rest.popFirst() else { throw .malformed }
    return first
  }

  mutating func number16() throws(TLSFault) -> UInt16 {
    let high = UInt16(try octet())
    return high << 8 | UInt16(try octet())
  }

  /// `opaque x<0..2^8-1>`
  mutating func vector8() throws(TLSFault) -> ArraySlice<UInt8> { try take(Int(try octet())) }

  /// `opaque x<0..2^16-1>`
  mutating func vector16() throws(TLSFault) -> ArraySlice<UInt8> { try take(Int(try number16())) }
}
