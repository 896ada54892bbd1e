/// A client's question, checked to be one and nothing else.
public struct DNSQuery: Hashable, Sendable {
  public let header: DNSHeader
  /// As ``ProxyRules/DNSNamePattern/matches(_:)`` takes it.
  public let name: String
  public let type: UInt16
  public let recordClass: UInt16
  /// Where the question ends: it begins behind the header.
  public let questionEnd: Int
  /// The client speaks EDNS(0) (RFC 6891).
  public let hasOPT: Bool

  /// Reads a message strictly: one question, no answers, at most one OPT, nothing behind the end.
  public init(_ bytes: UnsafeRawBufferPointer) throws(DNSFault) {
    header = try DNSHeader(bytes)
    guard !header.isResponse, header.opcode == 0 else { throw .notAQuery }
    guard header.questions == 1 else { throw .questionCount }
    guard header.answers == 0, header.authorities == 0 else { throw .unexpectedRecords }
    var reader = DNSReader(bytes, at: DNSHeader.size)
    name = try reader.name()
    type = try reader.word()
    recordClass = try reader.word()
    questionEnd = reader.at
    var options = 0
    for _ in 0..<header.additionals {
      try reader.skipName()
      if try reader.word() == DNSType.opt { options += 1 }
      try reader.skip(6)
      try reader.skip(Int(try reader.word()))
    }
    guard options < 2 else { throw .secondOPT }
    guard reader.isAtEnd else { throw .octetsBehindTheEnd }
    hasOPT = options == 1
  }
}
