/// What is sent and how the end of its answer is known.
public enum LoadProtocol: Hashable, Sendable {
  /// HTTP/1.1 requests.
  case http(method: String, headers: [String], body: [UInt8])
  /// That many bytes to a server that sends them back.
  case echo(bytes: Int)
  /// Nothing: a TCP connection that is open is the answer, and ended by a reset.
  case connect
  /// Queries by UDP.
  case dns(DNSQuestion)

  var isDatagrams: Bool { if case .dns = self { true } else { false } }
}

/// One run of the generator.
public struct LoadOptions: Sendable {
  public var target: LoadTarget
  public var traffic: LoadProtocol
  /// At most so many requests are under way at a time, each on a connection of its own.
  public var connections = 1
  /// Requests per second; nil: each connection sends its next request as soon as it has an answer.
  public var rate: Double?
  /// Nanoseconds that are measured.
  public var duration: UInt64 = 10_000_000_000
  /// Nanoseconds before that, with the same load.
  public var warmUp: UInt64 = 2_000_000_000
  /// A connection for each request instead of keeping them.
  public var newConnections: Bool
  /// Nanoseconds after which a request counts as failed.
  public var timeout: UInt64 = 10_000_000_000
  public var threads = 1

  public init(target: LoadTarget, traffic: LoadProtocol) {
    self.target = target
    self.traffic = traffic
    newConnections = traffic == .connect
  }

  /// Refuses what can not run, with the name of the field.
  public func validate() throws(LoadError) {
    guard connections > 0 else { throw LoadError("connections: \(connections) is not above 0") }
    guard threads > 0 else { throw LoadError("threads: \(threads) is not above 0") }
    guard duration > 0 else { throw LoadError("duration: must be above 0") }
    guard timeout > 0 else { throw LoadError("timeout: must be above 0") }
    if let rate, !(rate > 0 && rate <= 1e7) { throw LoadError("rate: \(rate) is not within 0 to 10,000,000") }
    switch traffic {
    case .dns, .connect: break
    case .echo(let bytes):
      guard bytes > 0 else { throw LoadError("payload: \(bytes) is not above 0") }
    case .http(let method, let headers, _):
      guard !method.isEmpty, method.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
        throw LoadError("method: \"\(method)\" is no token")
      }
      for header in headers {
        guard let colon = header.firstIndex(of: ":"), colon != header.startIndex,
          header.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { throw LoadError("header: \"\(header)\" is not 'Name: value'") }
      }
    }
  }

  /// The bytes of one request.
  var request: [UInt8] {
    switch traffic {
    case .dns(let question): return question.datagram
    case .echo(let bytes): return [UInt8](repeating: 0x78, count: bytes)
    case .connect: return []
    case .http(let method, let headers, let body):
      let names = Set(headers.map { $0.prefix { $0 != ":" }.lowercased() })
      var text = "\(method) \(target.path) HTTP/1.1\r\n"
      if !names.contains("host") { text += "Host: \(target.authority)\r\n" }
      for header in headers { text += header + "\r\n" }
      if newConnections, !names.contains("connection") { text += "Connection: close\r\n" }
      if !body.isEmpty || method == "POST" || method == "PUT" { text += "Content-Length: \(body.count)\r\n" }
      return Array((text + "\r\n").utf8) + body
    }
  }
}
