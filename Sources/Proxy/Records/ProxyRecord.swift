/// What the proxy tells of one request, of whichever protocol.
///
/// A record on the wire begins with its length (u16, little-endian) and its layout (u8); a datagram holds whole records
/// one after the other.
public enum ProxyRecord: Hashable, Sendable {
  case http(AccessRecord)
  case dns(DNSRecord)
  case tls(TLSAccessRecord)

  /// The records of one datagram; those after a malformed one are left out.
  public static func decode(_ bytes: UnsafeRawBufferPointer) -> [ProxyRecord] {
    var records: [ProxyRecord] = []
    var at = 0
    while at + 3 <= bytes.count {
      let length = Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
      guard length >= 3, at + length <= bytes.count,
        let record = ProxyRecord(UnsafeRawBufferPointer(rebasing: bytes[at..<at + length]))
      else { break }
      records.append(record)
      at += length
    }
    return records
  }

  private init?(_ bytes: UnsafeRawBufferPointer) {
    switch bytes[2] {
    case AccessRecord.layout:
      guard let record = AccessRecord(bytes) else { return nil }
      self = .http(record)
    case DNSRecord.layout:
      guard let record = DNSRecord(bytes) else { return nil }
      self = .dns(record)
    case TLSAccessRecord.layout:
      guard let record = TLSAccessRecord(bytes) else { return nil }
      self = .tls(record)
    default: return nil
    }
  }
}
