import Testing

@testable import HTTP2

/// RFC 9113, 8.
@Suite struct MessageTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var fields: [TextField]
    var fault: HTTP2Fault?

    init(_ name: String, _ fields: [(String, String)], _ fault: HTTP2Fault? = nil) {
      testDescription = name
      self.fields = fields.map { TextField($0.0, $0.1) }
      self.fault = fault
    }
  }

  private static func get(_ more: (String, String)...) -> [(String, String)] {
    [(":method", "GET"), (":scheme", "http"), (":path", "/a?b"), (":authority", "a.b:80")] + more
  }

  private static func with(_ path: String, method: String = "GET", authority: String = "a", scheme: String = "http")
    -> [(String, String)]
  {
    [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]
  }

  static let requests: [Case] = [
    Case("a request", get(("accept", "*/*"), ("x-y_z", "1"))),
    Case("host in place of the authority", [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a")]),
    Case("8.3.1 host as the authority", get(("host", "A.b:80"))),
    Case("8.3.1 host differs", get(("host", "c")), .hostDiffersFromAuthority),
    Case("two hosts", get(("host", "a.b:80"), ("host", "a.b:80")), .repeatedHost),
    Case("OPTIONS of the server", with("*", method: "OPTIONS")),
    Case("CONNECT", [(":method", "CONNECT"), (":authority", "a:1")]),
    Case("8.5 CONNECT with scheme and path", with("/", method: "CONNECT"), .unknownPseudoField),
    Case("8.5 CONNECT of nothing", [(":method", "CONNECT")], .missingPseudoField),
    Case("8.3.1 no method", [(":scheme", "http"), (":path", "/"), (":authority", "a")], .missingPseudoField),
    Case("8.3.1 no scheme", [(":method", "GET"), (":path", "/"), (":authority", "a")], .missingPseudoField),
    Case("8.3.1 no path", [(":method", "GET"), (":scheme", "http"), (":authority", "a")], .missingPseudoField),
    Case("8.3.1 no authority", [(":method", "GET"), (":scheme", "http"), (":path", "/")], .missingPseudoField),
    Case("8.3.1 empty path", with(""), .invalidPath),
    Case("a path without slash", with("a"), .invalidPath),
    Case("an asterisk to GET", with("*"), .invalidPath),
    Case("a path with a blank", with("/a b"), .invalidPath),
    Case("a path with a fragment", with("/a#b"), .invalidPath),
    Case("an authority with user data", with("/", authority: "u@a"), .invalidAuthority),
    Case("an empty authority", with("/", authority: ""), .invalidAuthority),
    Case("a scheme that is none", with("/", scheme: "ht tp"), .invalidScheme),
    Case("a method that is no token", with("/", method: "GE T"), .invalidMethod),
    Case("an empty method", with("/", method: ""), .invalidMethod),
    Case("8.3 a pseudo field twice", get() + [(":path", "/c")], .repeatedPseudoField),
    Case("8.3 an unknown pseudo field", get((":foo", "bar")), .unknownPseudoField),
    Case("8.3 a response's pseudo field", get((":status", "200")), .unknownPseudoField),
    Case("RFC 8441, unasked", get((":protocol", "websocket")), .unknownPseudoField),
    Case("8.3 a pseudo field behind a field", get(("a", "b"), (":path", "/")), .latePseudoField),
    Case("8.2.1 a name in upper case", get(("X-a", "b")), .invalidFieldName),
    Case("8.2.1 an empty name", get(("", "b")), .invalidFieldName),
    Case("8.2.1 a name with a blank", get(("a b", "b")), .invalidFieldName),
    Case("8.2.1 a name with a colon", get(("a:b", "b")), .invalidFieldName),
    Case("8.2.1 a value with a line feed", get(("a", "b\nc")), .invalidFieldValue),
    Case("8.2.1 a value with a carriage return", get(("a", "b\rc")), .invalidFieldValue),
    Case("8.2.1 a value with a zero", get(("a", "b\0c")), .invalidFieldValue),
    Case("8.2.1 a value that begins with a blank", get(("a", " b")), .invalidFieldValue),
    Case("8.2.1 a value that ends with a tab", get(("a", "b\t")), .invalidFieldValue),
    Case("8.2.2 connection", get(("connection", "close")), .connectionField),
    Case("8.2.2 keep-alive", get(("keep-alive", "1")), .connectionField),
    Case("8.2.2 proxy-connection", get(("proxy-connection", "close")), .connectionField),
    Case("8.2.2 transfer-encoding", get(("transfer-encoding", "chunked")), .connectionField),
    Case("8.2.2 upgrade", get(("upgrade", "h2c")), .connectionField),
    Case("8.2.2 te: trailers", get(("te", "trailers"))),
    Case("8.2.2 te: gzip", get(("te", "gzip")), .unexpectedTE),
    Case("content-length", get(("content-length", "5"))),
    Case("8.1.1 two lengths", get(("content-length", "5"), ("content-length", "5")), .invalidContentLength),
    Case("8.1.1 a length with a sign", get(("content-length", "+5")), .invalidContentLength),
    Case("8.1.1 no length", get(("content-length", "")), .invalidContentLength),
    Case("8.1.1 a length that overflows", get(("content-length", "99999999999999999999")), .invalidContentLength),
  ]

  @Test(arguments: requests) func `requests of clients`(_ example: Case) {
    let list = HeaderList(example.fields)
    defer { list.deallocate() }
    var request = RequestFields()
    #expect(request.read(list) == example.fault)
  }

  static let responses: [Case] = [
    Case("a response", [(":status", "200"), ("a", "b")]),
    Case("an interim response", [(":status", "103"), ("link", "b")]),
    Case("8.3.2 no status", [("a", "b")], .missingPseudoField),
    Case("8.3.2 nothing", [], .missingPseudoField),
    Case("8.3.2 two", [(":status", "200"), (":status", "200")], .repeatedPseudoField),
    Case("8.3 a request's pseudo field", [(":status", "200"), (":path", "/")], .unknownPseudoField),
    Case("8.6 101", [(":status", "101")], .invalidStatus),
    Case("two digits", [(":status", "20")], .invalidStatus), Case("no number", [(":status", "2a0")], .invalidStatus),
    Case("8.2.2 connection", [(":status", "200"), ("connection", "close")], .connectionField),
  ]

  @Test(arguments: responses) func `responses of servers`(_ example: Case) {
    let list = HeaderList(example.fields)
    defer { list.deallocate() }
    var response = ResponseFields()
    #expect(response.read(list) == example.fault)
  }

  static let trailers: [Case] = [
    Case("grpc", [("grpc-status", "0"), ("grpc-message", "")]), Case("nothing", []),
    Case("8.1 a pseudo field", [(":status", "200")], .pseudoFieldInTrailers),
    Case("framing", [("content-length", "1")], .invalidTrailer), Case("routing", [("host", "a")], .invalidTrailer),
    Case("8.2.2", [("transfer-encoding", "chunked")], .connectionField),
  ]

  @Test(arguments: trailers) func `trailer sections`(_ example: Case) {
    let list = HeaderList(example.fields)
    defer { list.deallocate() }
    #expect(list.faultOfTrailers() == example.fault)
  }

  /// RFC 9113, 8.1.1.
  @Test func `bodies have the length that was said`() {
    let list = HeaderList([TextField(":status", "200"), TextField("content-length", "5")])
    defer { list.deallocate() }
    var response = ResponseFields()
    #expect(response.read(list) == nil)
    var length = response.length
    #expect(length.take(3, isLast: false) == nil)
    #expect(length.take(2, isLast: true) == nil)
    length = response.length
    #expect(length.take(6, isLast: false) == .bodyDiffersFromLength)
    #expect(length.take(4, isLast: true) == .bodyDiffersFromLength)
    length.ignore()
    #expect(length.take(0, isLast: true) == nil)
  }
}
