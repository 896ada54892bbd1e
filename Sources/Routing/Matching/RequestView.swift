public import Addressing
import ProxyRules

/// A request and what is known of its connection. Only views: valid as long as the reader's buffer is.
public struct RequestView {
  public var http: HTTPRequestFacts
  public var connection: ConnectionFacts

  public init(_ http: HTTPRequestFacts, connection: ConnectionFacts) {
    self.http = http
    self.connection = connection
  }

  /// Calls `body` with the value of a header, lines of the same name joined by commas; nil where there is none. `name` is in
  /// lower case, and may be a pseudo header's. With `skipsEmpty` lines without a value are left out, but the last of them.
  func withHeader<Result>(
    _ name: [UInt8], skipsEmpty: Bool = false, _ body: (UnsafeRawBufferPointer?) -> Result
  ) -> Result {
    if name.first == UInt8(ascii: ":") || name.count == 4 {
      if name.elementsEqual(":method".utf8) { return body(http.method) }
      if name.elementsEqual(":path".utf8) { return body(http.path) }
      if name.elementsEqual(":authority".utf8) || name.elementsEqual("host".utf8) { return body(http.host) }
      if name.elementsEqual(":scheme".utf8) {
        return connection.scheme.utf8.withContiguousStorageIfAvailable { body(UnsafeRawBufferPointer($0)) } ?? body(nil)
      }
    }
    var first: UnsafeRawBufferPointer?
    var length = 0
    var lines = 0
    for header in http.headers where RequestView.isName(header.name, name) {
      if skipsEmpty, header.value.isEmpty {
        if lines == 0 { first = header.value }
        continue
      }
      if lines == 0 { first = header.value }
      lines += 1
      length += header.value.count + 1
    }
    guard lines > 1 else { return body(first) }
    return withUnsafeTemporaryAllocation(byteCount: length, alignment: 1) { joined in
      var end = 0
      for header in http.headers where RequestView.isName(header.name, name) && !(skipsEmpty && header.value.isEmpty) {
        UnsafeMutableRawBufferPointer(rebasing: joined[end...]).copyMemory(from: header.value)
        end += header.value.count
        joined[end] = UInt8(ascii: ",")
        end += 1
      }
      return body(UnsafeRawBufferPointer(rebasing: joined[..<(end - 1)]))
    }
  }

  /// Calls `body` with the value of each line of a name, or once with all of them, joined.
  func forEachValue(of name: [UInt8], isJoined: Bool, _ body: (UnsafeRawBufferPointer) -> Void) {
    if isJoined || name.first == UInt8(ascii: ":") || name.elementsEqual("host".utf8) {
      withHeader(name, skipsEmpty: true) { if let value = $0 { body(value) } }
      return
    }
    for header in http.headers where RequestView.isName(header.name, name) { body(header.value) }
  }

  /// The value of the first line of a name, in lower case.
  func firstValue(_ name: [UInt8]) -> UnsafeRawBufferPointer? {
    http.headers.first { RequestView.isName($0.name, name) }?.value
  }

  /// Calls `body` with the request as some edits of its headers leave it.
  public func with<Result>(_ edits: HeaderEdits, _ body: (RequestView) -> Result) -> Result {
    if edits.isEmpty { return body(self) }
    let removed = edits.removed.map { Array($0.utf8) }
    var block: [UInt8] = []
    var places: [(name: Range<Int>, value: Range<Int>)] = []
    for line in edits.added {
      let start = block.count
      block += line.name.utf8
      let end = block.count
      block += line.value
      places.append((start..<end, end..<block.count))
    }
    return block.withUnsafeBytes { bytes in
      var headers = http.headers.filter { line in !removed.contains { RequestView.isName(line.name, $0) } }
      for (name, value) in places {
        headers.append(
          HTTPHeaderFacts(
            name: UnsafeRawBufferPointer(rebasing: bytes[name]), value: UnsafeRawBufferPointer(rebasing: bytes[value])))
      }
      return headers.withUnsafeBufferPointer { headers in
        var http = http
        http.headers = headers
        return body(RequestView(http, connection: connection))
      }
    }
  }

  /// Whether a header's name is `lowercased`, in whatever case it was sent.
  static func isName(_ name: UnsafeRawBufferPointer, _ lowercased: [UInt8]) -> Bool {
    guard name.count == lowercased.count else { return false }
    let expected = lowercased.span
    for index in 0..<name.count where name[index].asciiLowercased != expected[index] { return false }
    return true
  }
}

/// What a request's headers may be told of its connection.
public struct ConnectionFacts: Hashable, Sendable {
  /// `http` or `https`: whether the client speaks TLS.
  public var scheme: String
  /// `HTTP/1.1`
  public var `protocol`: String
  /// The client's address as text, without brackets.
  public var remoteAddress: String
  public var remotePort: UInt16
  /// The address that the client connected to.
  public var localAddress: String
  public var localPort: UInt16
  /// The node's name.
  public var hostname: String
  /// The client's address, and the one that it connected to, for who compares them; nil where they are not known.
  public var remote: IPAddress?
  public var local: IPAddress?

  public init(
    scheme: String = "http", protocol: String = "HTTP/1.1", remoteAddress: String = "", remotePort: UInt16 = 0,
    localAddress: String = "", localPort: UInt16 = 0, hostname: String = "", remote: IPAddress? = nil,
    local: IPAddress? = nil
  ) {
    self.scheme = scheme
    self.protocol = `protocol`
    self.remoteAddress = remoteAddress
    self.remotePort = remotePort
    self.localAddress = localAddress
    self.localPort = localPort
    self.hostname = hostname
    self.remote = remote
    self.local = local
  }
}

/// Headers of which Envoy makes one line when a request has several; of all others each line is a value of its own.
enum JoinedHeaders {
  static let names: Set<String> = [
    "accept", "accept-encoding", "authorization", "cache-control", "connection", "content-length", "content-type",
    "expect", "grpc-timeout", "keep-alive", "origin", "proxy-connection", "te", "transfer-encoding", "upgrade",
    "user-agent", "via", "x-client-trace-id", "x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-host",
    "x-forwarded-port", "x-forwarded-proto", "x-request-id",
  ]
}
