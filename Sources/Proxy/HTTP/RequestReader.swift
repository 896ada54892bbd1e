/// Reads requests of one connection, one after the other: pure, fed with whatever has arrived.
struct RequestReader {
  enum Outcome: Equatable {
    case incomplete
    /// Octets before a request that are to be dropped: the one empty line that RFC 9112, 2.2 tolerates.
    case skip(Int)
    case head
    case fault(HTTPFault)
  }

  private var scanner = HeadScanner()
  private var skippedLine = false

  /// `bytes` begin with the first octet that no earlier request took.
  mutating func readHead(
    _ bytes: UnsafePointer<UInt8>, count: Int, limits: HTTPLimits, fields: inout FieldSection, head: inout RequestHead
  ) -> Outcome {
    guard count > 0 else { return .incomplete }
    let first = bytes[0]
    if !Octet.isToken(first) {
      // TLS and other binary protocols are answered at once instead of after the time limit of a head.
      guard first == Octet.carriageReturn else {
        return .fault(first == Octet.lineFeed ? .bareLineFeed : .invalidMethod)
      }
      if skippedLine { return .fault(.emptyRequest) }
      guard count > 1 else { return .incomplete }
      guard bytes[1] == Octet.lineFeed else { return .fault(.bareCarriageReturn) }
      skippedLine = true
      return .skip(2)
    }
    switch scanner.scan(bytes, count: count, limits: limits) {
    case .incomplete: return .incomplete
    case .fault(let fault): return .fault(fault)
    case .complete(let length):
      if let fault = head.parse(bytes, length: length, fields: &fields) { return .fault(fault) }
      return .head
    }
  }
}

/// Reads the heads of responses: pure, fed with whatever has arrived.
struct ResponseReader {
  enum Outcome: Equatable {
    case incomplete
    case head
    case fault(HTTPFault)
  }

  private var scanner = HeadScanner()

  mutating func readHead(
    _ bytes: UnsafePointer<UInt8>, count: Int, limits: HTTPLimits, context: ResponseContext,
    fields: inout FieldSection, head: inout ResponseHead
  ) -> Outcome {
    guard count > 0 else { return .incomplete }
    guard bytes[0] == UInt8(ascii: "H") else { return .fault(.invalidStatusLine) }
    switch scanner.scan(bytes, count: count, limits: limits) {
    case .incomplete: return .incomplete
    case .fault(let fault): return .fault(fault)
    case .complete(let length):
      if let fault = head.parse(bytes, length: length, context: context, fields: &fields) { return .fault(fault) }
      return .head
    }
  }
}
