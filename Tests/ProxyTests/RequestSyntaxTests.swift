import Testing

@testable import Proxy

@Suite struct RequestSyntaxTests {
  static let accepted: [(String, [ReadEvent])] = [
    (
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      [.request(method: "GET", path: "/", host: "a", framing: "none"), .forwarded(0)]
    ),
    (
      "\r\nGET /a?b=c HTTP/1.1\r\nhost:a:80\r\n\r\n",
      [.request(method: "GET", path: "/a?b=c", host: "a:80", framing: "none"), .forwarded(0)]
    ),
    (
      "GET / HTTP/1.0\r\n\r\n",
      [.request(method: "GET", path: "/", host: "", framing: "none"), .forwarded(0)]
    ),
    (
      "GET http://Example.com/p?q HTTP/1.1\r\nHost: example.com\r\n\r\n",
      [.request(method: "GET", path: "/p?q", host: "example.com", framing: "none"), .forwarded(0)]
    ),
    (
      "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
      [.request(method: "OPTIONS", path: "*", host: "[::1]:80", framing: "none"), .forwarded(0)]
    ),
    (
      "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
      [.request(method: "CONNECT", path: "a:443", host: "a:443", framing: "none"), .forwarded(0)]
    ),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:  5 \r\n\r\nhello",
      [.request(method: "POST", path: "/", host: "a", framing: "length(5)"), .forwarded(5)]
    ),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      [.request(method: "POST", path: "/", host: "a", framing: "none"), .forwarded(0)]
    ),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;n=\"v;\\\"\"\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n",
      [.request(method: "POST", path: "/", host: "a", framing: "chunked"), .forwarded(47)]
    ),
    (
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nM-SEARCH /2 HTTP/1.1\r\nHost: a\r\nX: caf\u{e9}\t!\r\nY:\r\n\r\n",
      [
        .request(method: "GET", path: "/1", host: "a", framing: "none"), .forwarded(0),
        .request(method: "M-SEARCH", path: "/2", host: "a", framing: "none"), .forwarded(0),
      ]
    ),
  ]

  @Test(arguments: accepted)
  func accepts(_ stream: String, _ events: [ReadEvent]) {
    #expect(readRequests(Array(stream.utf8)) == events)
  }

  @Test(arguments: SmugglingCorpus.requests)
  func refuses(_ scenario: SmugglingCorpus.Scenario) {
    let events = readRequests(Array(scenario.stream.utf8))
    #expect(events.last == .fault(scenario.fault), "\(scenario.name)")
  }

  @Test(arguments: SmugglingCorpus.requests)
  func refusesInAnySplit(_ scenario: SmugglingCorpus.Scenario) {
    let whole = readRequests(Array(scenario.stream.utf8))
    #expect(readRequests(Array(scenario.stream.utf8), pieces: [1]) == whole, "\(scenario.name)")
  }

  @Test func everyOctetInAFieldValue() {
    for octet in UInt8.min...UInt8.max {
      for position in [0, 3, 9, 17] {
        var value = [UInt8](repeating: UInt8(ascii: "v"), count: 18)
        value[position] = octet
        let stream = Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + value + Array("\r\n\r\n".utf8)
        let isGood = octet == 9 || (octet >= 0x20 && octet != 0x7F)
        let isAccepted = readRequests(stream).first.map { if case .request = $0 { true } else { false } } ?? false
        #expect(isAccepted == isGood, "octet \(octet) at \(position)")
      }
    }
  }

  @Test func everyOctetInAFieldName() {
    let token = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    for octet in UInt8.min...UInt8.max where octet != UInt8(ascii: ":") {
      let stream = Array("GET / HTTP/1.1\r\nHost: a\r\nX".utf8) + [octet] + Array("Y: v\r\n\r\n".utf8)
      let isAccepted = readRequests(stream).first.map { if case .request = $0 { true } else { false } } ?? false
      #expect(isAccepted == token.contains(octet), "octet \(octet)")
    }
  }

  @Test func limitsArePositions() {
    let limits = HTTPLimits(line: 64, head: 256, fields: 4)
    let long = "GET /" + String(repeating: "a", count: 100) + " HTTP/1.1\r\nHost: a\r\n\r\n"
    let wide = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 300) + "\r\n\r\n"
    let many = "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: y\r\n", count: 4) + "\r\n"
    for (stream, fault) in [(long, HTTPFault.targetTooLong), (wide, .headTooLarge), (many, .tooManyFields)] {
      for piece in [1, 7, 64, 256, 1000] {
        #expect(readRequests(Array(stream.utf8), pieces: [piece], limits: limits) == [.fault(fault)])
      }
    }
    let trailers =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + String(repeating: "y", count: 70000)
    #expect(readRequests(Array(trailers.utf8)).last == .fault(.trailersTooLarge))
    let extensions =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + String(repeating: "y", count: 20000)
    #expect(readRequests(Array(extensions.utf8)).last == .fault(.chunkExtensionsTooLarge))
  }

  @Test func statusesTellWhatIsWrong() {
    #expect(HTTPFault.targetTooLong.requestStatus == 414)
    #expect(HTTPFault.headTooLarge.requestStatus == 431)
    #expect(HTTPFault.unsupportedVersion.requestStatus == 505)
    #expect(HTTPFault.repeatedHost.requestStatus == 400)
  }
}
