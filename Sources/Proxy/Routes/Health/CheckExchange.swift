import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Why an endpoint did not pass a check.
enum CheckFailure: Hashable, Sendable, CustomStringConvertible {
  /// With an errno.
  case network(Int32)
  case timeout(Duration)
  case closed
  case malformed
  case status(Int, isRetriable: Bool)

  /// Whether the endpoint is unhealthy at once.
  var isFinal: Bool {
    if case .status(_, isRetriable: false) = self { true } else { false }
  }

  var description: String {
    switch self {
    case .network(let error): String(cString: strerror(error)).lowercased()
    case .timeout(let limit): "no answer within \(limit.words)"
    case .closed: "the connection was closed before the answer"
    case .malformed: "the answer is no HTTP response"
    case .status(let status, _): "status \(status)"
    }
  }
}

/// What a check says and hears over its connection: pure, fed with octets.
struct CheckExchange {
  enum Progress: Equatable {
    case waiting
    case passed(isDegraded: Bool)
    case failed(CheckFailure)
  }

  /// What is sent when there is a connection.
  let request: [UInt8]
  private let probe: HealthCheck.Probe
  private var received: [UInt8] = []

  /// More than this is no answer to a check.
  private static let limit = 64 << 10

  init(_ check: EndpointCheck) {
    probe = check.check.probe
    switch probe {
    case .http(let http): request = CheckExchange.request(http, host: check.host)
    case .tcp(let tcp): request = tcp.send
    }
  }

  /// The connection is there.
  func connected() -> Progress {
    if case .tcp(let tcp) = probe, tcp.receive.isEmpty { return .passed(isDegraded: false) }
    return .waiting
  }

  mutating func receive(_ octets: some Sequence<UInt8>) -> Progress {
    received += octets
    let progress =
      switch probe {
      case .http(let http): readResponse(http)
      case .tcp(let tcp): contains(tcp.receive) ? .passed(isDegraded: false) : Progress.waiting
      }
    if progress == .waiting, received.count > CheckExchange.limit { return .failed(.malformed) }
    return progress
  }

  /// Each of them, in their order, with anything between them.
  private func contains(_ payloads: [[UInt8]]) -> Bool {
    var rest = received[...]
    for payload in payloads {
      guard let place = rest.firstRange(of: payload) else { return false }
      rest = rest[place.upperBound...]
    }
    return true
  }

  /// The head alone says how the endpoint is.
  private mutating func readResponse(_ http: HTTPHealthCheck) -> Progress {
    while true {
      var scanner = HeadScanner()
      var head = ResponseHead()
      var fields = FieldSection()
      defer { fields.deallocate() }
      let context = ResponseContext(isHEAD: http.method == "HEAD")
      let outcome = received.withUnsafeBufferPointer { bytes -> Progress? in
        guard let base = bytes.baseAddress else { return .waiting }
        switch scanner.scan(base, count: bytes.count, limits: HTTPLimits()) {
        case .incomplete: return .waiting
        case .fault: return .failed(.malformed)
        case .complete(let length):
          if head.parse(base, length: length, context: context, fields: &fields) != nil { return .failed(.malformed) }
          if head.isInterim { return nil }
          let isDegraded = fields.lines.contains { $0.name.equalsIgnoringCase("x-envoy-degraded", in: base) }
          return CheckExchange.judge(head.status, http, isDegraded: isDegraded)
        }
      }
      if let outcome { return outcome }
      received.removeFirst(head.length)
    }
  }

  private static func judge(_ status: Int, _ http: HTTPHealthCheck, isDegraded: Bool) -> Progress {
    let code = Int64(status)
    if http.expectedStatuses.contains(where: { $0.contains(code) }) { return .passed(isDegraded: isDegraded) }
    return .failed(.status(status, isRetriable: http.retriableStatuses.contains { $0.contains(code) }))
  }

  private static func request(_ http: HTTPHealthCheck, host: String) -> [UInt8] {
    // By this name servers know who asks.
    var fields = [("user-agent", "Envoy/HC")].filter { !http.removedHeaders.contains($0.0) }
    for header in http.headers {
      let isThere = fields.contains { $0.0 == header.name }
      switch header.action {
      case .append: break
      case .addIfAbsent: if isThere { continue }
      case .overwriteIfExists where !isThere: continue
      case .overwriteOrAdd, .overwriteIfExists: fields.removeAll { $0.0 == header.name }
      }
      fields.append((header.name, header.value))
    }
    if ["POST", "PUT", "PATCH"].contains(http.method) { fields.append(("content-length", "0")) }
    var text = "\(http.method) \(http.path) HTTP/1.1\r\nhost: \(host)\r\n"
    for (name, value) in fields { text += "\(name): \(value)\r\n" }
    return Array((text + "connection: close\r\n\r\n").utf8)
  }
}
