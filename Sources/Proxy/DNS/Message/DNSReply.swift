/// What the proxy itself answers.
enum DNSReply {
  /// UDP payload that the proxy says it takes (RFC 9715 recommends 1400 at most; flag day 2020: 1232).
  private static let payload: UInt16 = 1232

  /// The question with a response code: what a server says that does not want to answer it.
  static func make(_ code: UInt8, to query: DNSQuery, _ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var reply = header(code, query.header, questions: 1, additionals: query.hasOPT ? 1 : 0)
    reply += bytes[DNSHeader.size..<query.questionEnd]
    if query.hasOPT {
      reply += [0, 0, UInt8(DNSType.opt), UInt8(payload >> 8), UInt8(payload & 0xFF), 0, 0, 0, 0, 0, 0]
    }
    return reply
  }

  /// As above for what could not be read, of which only the header is sure; nil when it is an answer itself, which is
  /// not to be answered.
  static func make(_ code: UInt8, to bytes: UnsafeRawBufferPointer) -> [UInt8]? {
    guard let header = try? DNSHeader(bytes), !header.isResponse else { return nil }
    return self.header(code, header, questions: 0, additionals: 0)
  }

  private static func header(_ code: UInt8, _ query: DNSHeader, questions: UInt8, additionals: UInt8) -> [UInt8] {
    let kept = query.flags & (DNSHeader.opcodeMask | DNSHeader.recursionDesiredFlag)
    let flags = kept | DNSHeader.responseFlag | DNSHeader.recursionAvailableFlag | UInt16(code)
    return [
      UInt8(query.id >> 8), UInt8(query.id & 0xFF), UInt8(flags >> 8), UInt8(flags & 0xFF), 0, questions, 0, 0, 0, 0, 0,
      additionals,
    ]
  }
}
