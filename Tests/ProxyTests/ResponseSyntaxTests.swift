import Testing

@testable import Proxy

@Suite struct ResponseSyntaxTests {
  struct Scenario: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var stream: String
    var context = ResponseContext()
    var events: [ReadEvent]
  }

  static let scenarios: [Scenario] = [
    .init(
      testDescription: "length", stream: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      events: [.response(status: 200, framing: "length(2)", isTunnel: false), .forwarded(2)]),
    .init(
      testDescription: "no reason", stream: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
      events: [.response(status: 200, framing: "none", isTunnel: false), .forwarded(0)]),
    .init(
      testDescription: "until close", stream: "HTTP/1.0 200 OK\r\n\r\nabc",
      events: [.response(status: 200, framing: "untilClose", isTunnel: false), .forwarded(3), .incomplete]),
    .init(
      testDescription: "chunked", stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
      events: [.response(status: 200, framing: "chunked", isTunnel: false), .forwarded(11)]),
    .init(
      testDescription: "HEAD has no body", stream: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
      context: ResponseContext(isHEAD: true),
      events: [.response(status: 200, framing: "none", isTunnel: false), .forwarded(0)]),
    .init(
      testDescription: "204, 304 and 1xx have no body",
      stream: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 N\r\n\r\nHTTP/1.1 304 N\r\nContent-Length: 7\r\n\r\n",
      events: [
        .response(status: 100, framing: "none", isTunnel: false), .forwarded(0),
        .response(status: 204, framing: "none", isTunnel: false), .forwarded(0),
        .response(status: 304, framing: "none", isTunnel: false), .forwarded(0),
      ]),
    .init(
      testDescription: "upgrade", stream: "HTTP/1.1 101 S\r\n\r\n", context: ResponseContext(wantsUpgrade: true),
      events: [.response(status: 101, framing: "none", isTunnel: true), .forwarded(0)]),
    .init(
      testDescription: "upgrade unasked", stream: "HTTP/1.1 101 S\r\n\r\n", events: [.fault(.unexpectedSwitch)]),
    .init(
      testDescription: "CONNECT", stream: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
      context: ResponseContext(isCONNECT: true),
      events: [.response(status: 200, framing: "none", isTunnel: true), .forwarded(0)]),
    .init(
      testDescription: "length and coding",
      stream: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      events: [.fault(.lengthAndTransferEncoding)]),
    .init(
      testDescription: "two lengths", stream: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
      events: [.fault(.repeatedContentLength)]),
    .init(
      testDescription: "coding in 1.0", stream: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      events: [.fault(.transferEncodingBefore11)]),
    .init(testDescription: "bare LF", stream: "HTTP/1.1 200 OK\nA: b\n\n", events: [.fault(.bareLineFeed)]),
    .init(testDescription: "folded", stream: "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", events: [.fault(.foldedField)]),
    .init(
      testDescription: "status of two digits", stream: "HTTP/1.1 20 OK\r\n\r\n", events: [.fault(.invalidStatusLine)]),
    .init(testDescription: "status 600", stream: "HTTP/1.1 600 X\r\n\r\n", events: [.fault(.invalidStatusLine)]),
    .init(testDescription: "HTTP/2", stream: "HTTP/2.0 200 OK\r\n\r\n", events: [.fault(.invalidStatusLine)]),
    .init(testDescription: "not HTTP", stream: "SSH-2.0-x\r\n", events: [.fault(.invalidStatusLine)]),
    .init(testDescription: "ICY", stream: "ICY 200 OK\r\n\r\n", events: [.fault(.invalidStatusLine)]),
  ]

  @Test(arguments: scenarios)
  func reads(_ scenario: Scenario) {
    let stream = Array(scenario.stream.utf8)
    #expect(readResponses(stream, context: scenario.context) == scenario.events)
    #expect(readResponses(stream, pieces: [1], context: scenario.context) == scenario.events)
  }
}
