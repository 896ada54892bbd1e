import Routing

/// Writes the spans of one exchange, each with a comma behind it, in OTLP's JSON form: identifiers are hexadecimal, 64-bit
/// numbers texts. Attributes have the names of OpenTelemetry's conventions for HTTP.
struct SpanLine {
  let exchange: ExchangeSummary
  let heads: CapturedHeads
  let tracer: Tracer
  let listener: RoutedListener

  private static let server = 2
  private static let client = 3

  /// The span of the request, as the client sees it.
  func writeServer(_ trace: ActiveTrace, to writer: inout HeadWriter) {
    begin(trace, id: trace.spanID, parent: trace.parentID, Self.server, to: &writer)
    var attributes = AttributeWriter(writer)
    addCommon(&attributes)
    let target = exchange.path
    let query = target.firstIndex(of: UInt8(ascii: "?"))
    attributes.text("url.path", target.prefix(min(query ?? target.count, tracer.maximumPath)))
    if let query { attributes.text("url.query", target[(query + 1)...].prefix(tracer.maximumPath)) }
    attributes.text("url.scheme", exchange.connection.scheme.utf8)
    attributes.text("client.address", exchange.connection.remoteAddress.utf8)
    attributes.text("network.peer.address", exchange.connection.remoteAddress.utf8)
    attributes.number("network.peer.port", UInt64(exchange.connection.remotePort))
    heads.withRequest(tracer.userAgent) { if let value = $0 { attributes.text("user_agent.original", value) } }
    attributes.number("http.request.body.size", exchange.received)
    attributes.number("http.response.body.size", exchange.sent)
    addRoute(&attributes)
    addTags(&attributes)
    writer = attributes.writer
    end(to: &writer)
  }

  /// The span of what was asked of the server.
  func writeClient(_ trace: ActiveTrace, _ server: SocketAddress, to writer: inout HeadWriter) {
    begin(trace, id: trace.upstreamID, parent: trace.spanID, Self.client, to: &writer)
    var attributes = AttributeWriter(writer)
    addCommon(&attributes)
    attributes.address("network.peer.address", server)
    attributes.number("network.peer.port", UInt64(server.port))
    if exchange.attempts > 1 { attributes.number("http.request.resend_count", UInt64(exchange.attempts - 1)) }
    attributes.text("martlet.cluster", exchange.cluster.utf8)
    writer = attributes.writer
    end(to: &writer)
  }

  private func begin(_ trace: ActiveTrace, id: UInt64, parent: UInt64, _ kind: Int, to writer: inout HeadWriter) {
    writer.put("{\"traceId\":\"")
    writer.put(hexadecimal: trace.traceID.high)
    writer.put(hexadecimal: trace.traceID.low)
    writer.put("\",\"spanId\":\"")
    writer.put(hexadecimal: id)
    if parent != 0 {
      writer.put("\",\"parentSpanId\":\"")
      writer.put(hexadecimal: parent)
    }
    writer.put("\",\"flags\":1,\"name\":\"")
    writer.put(escaped: exchange.method)
    if let name = exchange.choice?.route.name, !name.isEmpty {
      writer.put(" ")
      writer.put(escaped: name.utf8)
    }
    writer.put("\",\"kind\":")
    writer.put(decimal: kind)
    writer.put(",\"startTimeUnixNano\":\"")
    writer.put(decimal: Int(clamping: exchange.start))
    writer.put("\",\"endTimeUnixNano\":\"")
    writer.put(decimal: Int(clamping: exchange.start &+ exchange.duration))
    writer.put("\",\"attributes\":[")
  }

  private func end(to writer: inout HeadWriter) {
    writer.put("],\"status\":{")
    if isError { writer.put("\"code\":2") }
    writer.put("}},")
  }

  private var isError: Bool { exchange.status >= 500 || exchange.status == 0 }

  private func addCommon(_ attributes: inout AttributeWriter) {
    attributes.text("http.request.method", exchange.method)
    if exchange.status != 0 { attributes.number("http.response.status_code", UInt64(exchange.status)) }
    if isError {
      if exchange.status == 0 {
        attributes.text("error.type", "downstream_disconnect".utf8)
      } else {
        attributes.decimal("error.type", Int(exchange.status))
      }
    }
    attributes.text("network.protocol.version", exchange.connection.protocol.utf8.dropFirst(5))
    let (name, port) = exchange.host.authority
    if !name.isEmpty { attributes.text("server.address", name) }
    attributes.number("server.port", port ?? UInt64(exchange.connection.localPort))
  }

  private func addRoute(_ attributes: inout AttributeWriter) {
    attributes.text("martlet.object", listener.object.utf8)
    attributes.text("martlet.listener", listener.name.utf8)
    if let choice = exchange.choice {
      attributes.text("martlet.virtual_host", choice.virtualHost.name.utf8)
      if !choice.route.name.isEmpty { attributes.text("martlet.route", choice.route.name.utf8) }
    }
    if !exchange.cluster.isEmpty { attributes.text("martlet.cluster", exchange.cluster.utf8) }
    if let server = exchange.server {
      attributes.address("martlet.upstream.address", server)
      attributes.number("martlet.upstream.port", UInt64(server.port))
    }
    let details = exchange.cause.details
    if details.utf8CodeUnitCount > 0 {
      attributes.text(
        "martlet.response_code_details",
        UnsafeBufferPointer(start: details.utf8Start, count: details.utf8CodeUnitCount))
    }
  }

  private func addTags(_ attributes: inout AttributeWriter) {
    for tag in tracer.tags {
      switch tag.value {
      case .literal(let text): attributes.json(tag.key, text)
      case .header(let place, let otherwise):
        heads.withRequest(place) { value in
          if let value {
            attributes.json(tag.key, escaping: value)
          } else if !otherwise.isEmpty {
            attributes.json(tag.key, otherwise)
          }
        }
      }
    }
  }
}

/// Writes the members of a list of attributes.
private struct AttributeWriter {
  var writer: HeadWriter
  private var isFirst = true

  init(_ writer: HeadWriter) { self.writer = writer }

  private mutating func begin(_ key: StaticString) {
    writer.put(isFirst ? "{\"key\":\"" : ",{\"key\":\"")
    isFirst = false
    writer.put(key)
    writer.put("\",\"value\":{")
  }

  mutating func text(_ key: StaticString, _ value: some Collection<UInt8>) {
    begin(key)
    writer.put("\"stringValue\":\"")
    writer.put(escaped: value)
    writer.put("\"}}")
  }

  mutating func decimal(_ key: StaticString, _ value: Int) {
    begin(key)
    writer.put("\"stringValue\":\"")
    writer.put(decimal: value)
    writer.put("\"}}")
  }

  mutating func address(_ key: StaticString, _ server: SocketAddress) {
    begin(key)
    writer.put("\"stringValue\":\"")
    writer.put(server.address)
    writer.put("\"}}")
  }

  mutating func number(_ key: StaticString, _ value: UInt64) {
    begin(key)
    writer.put("\"intValue\":\"")
    writer.put(decimal: Int(clamping: value))
    writer.put("\"}}")
  }

  private mutating func begin(key: [UInt8]) {
    writer.put(isFirst ? "{\"key\":" : ",{\"key\":")
    isFirst = false
    writer.put(key)
    writer.put(",\"value\":{\"stringValue\":")
  }

  /// Both are JSON already.
  mutating func json(_ key: [UInt8], _ value: [UInt8]) {
    begin(key: key)
    writer.put(value)
    writer.put("}}")
  }

  mutating func json(_ key: [UInt8], escaping value: some Collection<UInt8>) {
    begin(key: key)
    writer.put("\"")
    writer.put(escaped: value)
    writer.put("\"}}")
  }
}

extension UnsafeRawBufferPointer {
  /// Of an authority: its name, without brackets, and its port.
  fileprivate var authority: (name: Slice<UnsafeRawBufferPointer>, port: UInt64?) {
    let isBracketed = first == UInt8(ascii: "[")
    guard let colon = lastIndex(of: Octet.colon), !self[colon...].contains(UInt8(ascii: "]")) else {
      return (isBracketed && last == UInt8(ascii: "]") ? self[1..<(count - 1)] : self[...], nil)
    }
    let name = self[..<colon]
    var port: UInt64? = 0
    for octet in self[(colon + 1)...].prefix(6) {
      port = 48...57 ~= octet ? port.map { $0 * 10 + UInt64(octet - 48) } : nil
    }
    let isWhole = isBracketed && name.last == UInt8(ascii: "]")
    return (isWhole ? name.dropFirst().dropLast() : name, port)
  }
}
