@testable import Proxy

/// What a stream of octets means to the readers, for comparing one split of it with another.
enum ReadEvent: Hashable, CustomStringConvertible {
  case request(method: String, path: String, host: String, framing: String)
  case response(status: Int, framing: String, isTunnel: Bool)
  /// Octets that were judged good and may be forwarded, summed up over a message.
  case forwarded(Int)
  case fault(HTTPFault)
  case incomplete

  var description: String {
    switch self {
    case .request(let method, let path, let host, let framing): "\(method) \(path) @\(host) \(framing)"
    case .response(let status, let framing, let isTunnel): "\(status) \(framing)\(isTunnel ? " tunnel" : "")"
    case .forwarded(let count): "+\(count)"
    case .fault(let fault): "fault(\(fault))"
    case .incomplete: "incomplete"
    }
  }
}

/// Runs the readers over a stream as the engine does, in pieces of the given sizes (the last one repeats).
func readRequests(_ stream: [UInt8], pieces: [Int] = [.max], limits: HTTPLimits = HTTPLimits()) -> [ReadEvent] {
  var reader = RequestReader()
  var head = RequestHead()
  return feed(stream, pieces: pieces, limits: limits) { bytes, count, fields -> HeadResult in
    switch reader.readHead(bytes, count: count, limits: limits, fields: &fields, head: &head) {
    case .incomplete: return .incomplete
    case .skip(let octets): return .skip(octets)
    case .fault(let fault): return .fault(fault)
    case .head:
      reader = RequestReader()
      return .head(
        .request(
          method: head.method.string(in: bytes), path: head.path.string(in: bytes), host: head.host.string(in: bytes),
          framing: "\(head.framing)"),
        length: head.length, framing: head.framing)
    }
  }
}

func readResponses(
  _ stream: [UInt8], pieces: [Int] = [.max], limits: HTTPLimits = HTTPLimits(),
  context: ResponseContext = ResponseContext()
) -> [ReadEvent] {
  var reader = ResponseReader()
  var head = ResponseHead()
  return feed(stream, pieces: pieces, limits: limits) { bytes, count, fields -> HeadResult in
    switch reader.readHead(bytes, count: count, limits: limits, context: context, fields: &fields, head: &head) {
    case .incomplete: return .incomplete
    case .fault(let fault): return .fault(fault)
    case .head:
      reader = ResponseReader()
      return .head(
        .response(status: head.status, framing: "\(head.framing)", isTunnel: head.isTunnel), length: head.length,
        framing: head.framing)
    }
  }
}

private enum HeadResult {
  case incomplete
  case skip(Int)
  case fault(HTTPFault)
  case head(ReadEvent, length: Int, framing: BodyFraming)
}

private func feed(
  _ stream: [UInt8], pieces: [Int], limits: HTTPLimits,
  readHead: (UnsafePointer<UInt8>, Int, inout FieldSection) -> HeadResult
) -> [ReadEvent] {
  var fields = FieldSection()
  defer { fields.deallocate() }
  var events: [ReadEvent] = []
  var held: [UInt8] = []
  var rest = stream[...]
  var pieces = pieces[...]
  var body: BodyReader?
  var forwarded = 0
  while true {
    // Everything that what is held allows.
    while true {
      if var current = body {
        var used = 0
        let outcome = held.withUnsafeBufferPointer { buffer -> ChunkedReader.Outcome in
          var empty: UInt8 = 0
          return withUnsafePointer(to: &empty) {
            current.consume(buffer.baseAddress ?? $0, count: buffer.count, limits: limits, used: &used)
          }
        }
        body = current
        held.removeFirst(used)
        forwarded += used
        if outcome == .incomplete { break }
        events.append(.forwarded(forwarded))
        if case .fault(let fault) = outcome { return events + [.fault(fault)] }
        body = nil
      } else if held.isEmpty {
        break
      } else {
        let copy = held
        let result = copy.withUnsafeBufferPointer { buffer in readHead(buffer.baseAddress!, buffer.count, &fields) }
        if case .incomplete = result { break }
        switch result {
        case .incomplete: break
        case .skip(let octets): held.removeFirst(octets)
        case .fault(let fault): return events + [.fault(fault)]
        case .head(let event, let length, let framing):
          events.append(event)
          held.removeFirst(length)
          forwarded = 0
          body = BodyReader(framing)
        }
      }
    }
    if rest.isEmpty { break }
    let size = max(1, min(pieces.first ?? .max, rest.count))
    if pieces.count > 1 { pieces.removeFirst() }
    held += rest.prefix(size)
    rest = rest.dropFirst(size)
  }
  if body != nil { events.append(.forwarded(forwarded)) }
  if body != nil || !held.isEmpty { events.append(.incomplete) }
  return events
}
