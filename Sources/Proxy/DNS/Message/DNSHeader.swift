/// The first twelve octets of a message (RFC 1035, 4.1.1).
public struct DNSHeader: Hashable, Sendable {
  public var id: UInt16
  public var flags: UInt16
  public var questions: UInt16
  public var answers: UInt16
  public var authorities: UInt16
  public var additionals: UInt16

  static let size = 12
  static let responseFlag: UInt16 = 0x8000
  static let truncatedFlag: UInt16 = 0x0200
  static let recursionDesiredFlag: UInt16 = 0x0100
  static let recursionAvailableFlag: UInt16 = 0x0080
  static let opcodeMask: UInt16 = 0x7800

  init(_ bytes: UnsafeRawBufferPointer) throws(DNSFault) {
    guard bytes.count >= DNSHeader.size else { throw .shorterThanItsHeader }
    func word(_ at: Int) -> UInt16 { UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1]) }
    id = word(0)
    flags = word(2)
    questions = word(4)
    answers = word(6)
    authorities = word(8)
    additionals = word(10)
  }

  public var isResponse: Bool { flags & DNSHeader.responseFlag != 0 }
  /// 0 for a query (RFC 1035), 4 for NOTIFY, 5 for UPDATE.
  public var opcode: UInt8 { UInt8((flags & DNSHeader.opcodeMask) >> 11) }
  public var responseCode: UInt8 { UInt8(flags & 0xF) }
}

/// Response codes (IANA, "DNS RCODEs").
public enum DNSResponseCode {
  public static let noError: UInt8 = 0
  public static let formatError: UInt8 = 1
  public static let serverFailure: UInt8 = 2
  public static let notImplemented: UInt8 = 4
  public static let refused: UInt8 = 5
}

/// Record types (IANA, "Resource Record TYPEs").
public enum DNSType {
  public static let a: UInt16 = 1
  public static let cname: UInt16 = 5
  public static let aaaa: UInt16 = 28
  public static let opt: UInt16 = 41
}
