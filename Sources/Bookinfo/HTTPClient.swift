import Glibc

/// What a server answered.
public struct HTTPResponse: Hashable, Sendable {
  public var status: Int
  public var headers: HTTPHeaders
  public var body: [UInt8]

  public init(status: Int, headers: HTTPHeaders = [:], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The body as text.
  public var text: String { String(decoding: body, as: UTF8.self) }
}

/// Why a request has no answer.
public enum HTTPClientError: Error, Hashable, Sendable, CustomStringConvertible {
  case badURL(String)
  case unknownHost(String)
  case connection(ConnectionError)

  public var description: String {
    switch self {
    case .badURL(let url): "\"\(url)\" is not an http:// URL"
    case .unknownHost(let host): "host \(host) is not known"
    case .connection(let error): "\(error)"
    }
  }
}

/// Sends one HTTP/1.1 request on a connection of its own and reads the whole answer.
///
/// - Parameters:
///   - url: `http://host[:port][/path][?query]`; the host is a name, an IPv4 address or an IPv6 address in brackets.
///   - timeout: For everything together, in seconds.
///
///     let answer = try httpRequest(method: "GET", url: "http://127.0.0.1:9080/health")
public func httpRequest(
  method: String, url: String, headers: HTTPHeaders = [:], body: [UInt8] = [], timeout: Double = 5
) throws(HTTPClientError) -> HTTPResponse {
  let url = try HTTPURL(url)
  let deadline = Connection.now() + UInt64(max(timeout, 0.001) * 1e9)
  do {
    var connection = try connect(to: url, deadline: deadline)
    var text = "\(method) \(url.target) HTTP/1.1\r\n"
    if headers["Host"] == nil { text += "Host: \(url.authority)\r\n" }
    for field in headers.fields { text += "\(field.name): \(field.value)\r\n" }
    if !body.isEmpty { text += "Content-Length: \(body.count)\r\n" }
    text += "Connection: close\r\n\r\n"
    try connection.write(Array(text.utf8) + body)
    while true {
      guard let head = try connection.readHead() else { throw ConnectionError.closed }
      guard head.start[0].hasPrefix("HTTP/1."), let status = Int(head.start[1]) else {
        throw ConnectionError.syntax(HTTPSyntaxError("bad status line"))
      }
      if 100..<200 ~= status { continue }
      let hasBody = method != "HEAD" && status != 204 && status != 304
      let body = hasBody ? try connection.readBody(of: head, untilClose: true) : []
      return HTTPResponse(status: status, headers: head.headers, body: body)
    }
  } catch let error as ConnectionError {
    throw .connection(error)
  } catch let error as HTTPClientError {
    throw error
  } catch {
    throw .badURL(url.authority)
  }
}

struct HTTPURL: Hashable, Sendable {
  var host: String
  var port: UInt16 = 80
  var target: String
  /// As the Host header wants it.
  var authority: String

  init(_ text: String) throws(HTTPClientError) {
    guard text.lowercased().hasPrefix("http://") else { throw .badURL(text) }
    let rest = text.dropFirst(7)
    let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
    authority = String(rest[..<end])
    target = String(rest[end...].prefix { $0 != "#" })
    if !target.hasPrefix("/") { target = "/" + target }
    var portText: Substring?
    if authority.hasPrefix("["), let bracket = authority.firstIndex(of: "]") {
      host = String(authority[authority.index(after: authority.startIndex)..<bracket])
      let after = authority[authority.index(after: bracket)...]
      guard after.isEmpty || after.hasPrefix(":") else { throw .badURL(text) }
      if !after.isEmpty { portText = after.dropFirst() }
    } else if let colon = authority.firstIndex(of: ":") {
      host = String(authority[..<colon])
      portText = authority[authority.index(after: colon)...]
    } else {
      host = authority
    }
    if let portText {
      guard let port = UInt16(portText) else { throw .badURL(text) }
      self.port = port
    }
    let isClean = target.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    guard !host.isEmpty, isClean else { throw .badURL(text) }
  }
}

private func connect(to url: HTTPURL, deadline: UInt64) throws -> Connection {
  var hints = addrinfo()
  hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
  hints.ai_flags = AI_NUMERICSERV
  var list: UnsafeMutablePointer<addrinfo>?
  guard getaddrinfo(url.host, String(url.port), &hints, &list) == 0, let first = list else {
    throw HTTPClientError.unknownHost(url.host)
  }
  defer { freeaddrinfo(first) }
  var failure = ConnectionError.closed
  var candidate: UnsafeMutablePointer<addrinfo>? = first
  while let info = candidate?.pointee {
    candidate = info.ai_next
    let descriptor = socket(
      info.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else {
      failure = .system(call: "socket", errno: errno)
      continue
    }
    let connection = Connection(descriptor: descriptor, deadline: deadline)
    if Glibc.connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 { return connection }
    guard errno == EINPROGRESS else {
      failure = .system(call: "connect", errno: errno)
      continue
    }
    try connection.wait(for: Int16(POLLOUT))
    var result: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &result, &length)
    if result == 0 { return connection }
    failure = .system(call: "connect", errno: result)
  }
  throw failure
}
