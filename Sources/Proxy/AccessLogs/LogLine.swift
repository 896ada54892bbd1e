import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Writes one line of an access log.
struct LogLine {
  let exchange: ExchangeSummary
  let heads: CapturedHeads

  func write(_ log: CompiledLog, to writer: inout HeadWriter) {
    switch log.layout {
    case .text(let parts): write(parts, omitsEmpty: log.omitsEmpty, isQuoted: false, to: &writer)
    case .document(let node):
      write(node, omitsEmpty: log.omitsEmpty, to: &writer)
      writer.put("\n")
    }
  }

  private func write(_ parts: [CompiledLog.Part], omitsEmpty: Bool, isQuoted: Bool, to writer: inout HeadWriter) {
    for part in parts {
      switch part {
      case .text(let text): if isQuoted { writer.put(escaped: text) } else { writer.put(text) }
      case .value(let value):
        if !write(value, isQuoted: isQuoted, to: &writer), !omitsEmpty { writer.put("-") }
      }
    }
  }

  private func write(_ node: CompiledLog.Node, omitsEmpty: Bool, to writer: inout HeadWriter) {
    switch node {
    case .constant(let text): writer.put(text)
    case .text(let parts):
      writer.put("\"")
      write(parts, omitsEmpty: omitsEmpty, isQuoted: true, to: &writer)
      writer.put("\"")
    case .value(let value):
      guard isPresent(value) else { return writer.put("null") }
      if value.isNumber {
        _ = write(value, isQuoted: false, to: &writer)
      } else {
        writer.put("\"")
        _ = write(value, isQuoted: true, to: &writer)
        writer.put("\"")
      }
    case .array(let nodes):
      writer.put("[")
      var isFirst = true
      for node in nodes where !omitsEmpty || isPresent(node) {
        if !isFirst { writer.put(",") }
        isFirst = false
        write(node, omitsEmpty: omitsEmpty, to: &writer)
      }
      writer.put("]")
    case .object(let members):
      writer.put("{")
      var isFirst = true
      for member in members where !omitsEmpty || isPresent(member.node) {
        if !isFirst { writer.put(",") }
        isFirst = false
        writer.put(member.key)
        write(member.node, omitsEmpty: omitsEmpty, to: &writer)
      }
      writer.put("}")
    }
  }

  /// Whether there is something to say where empty values are left out.
  private func isPresent(_ node: CompiledLog.Node) -> Bool {
    switch node {
    case .value(let value): isPresent(value)
    case .object(let members): members.contains { isPresent($0.node) }
    case .constant, .text, .array: true
    }
  }

  // MARK: Values

  /// - Returns: false where there is none, and nothing was written.
  private func write(_ value: CompiledLog.Value, isQuoted: Bool, to writer: inout HeadWriter) -> Bool {
    switch value {
    case .request(let place, let otherwise, let maximum):
      heads.withRequest(place) { put($0, maximum, isQuoted, &writer) }
        || otherwise.map { heads.withRequest($0) { put($0, maximum, isQuoted, &writer) } } ?? false
    case .response(let place, let otherwise, let maximum):
      heads.withResponse(place) { put($0, maximum, isQuoted, &writer) }
        || otherwise.map { heads.withResponse($0) { put($0, maximum, isQuoted, &writer) } } ?? false
    case .other(let variable): write(variable, isQuoted: isQuoted, to: &writer)
    }
  }

  private func put(
    _ value: Slice<UnsafeRawBufferPointer>?, _ maximum: Int?, _ isQuoted: Bool, _ writer: inout HeadWriter
  ) -> Bool {
    guard let value else { return false }
    let octets = maximum.map { value.prefix($0) } ?? value
    if isQuoted { writer.put(escaped: octets) } else { writer.put(octets) }
    return true
  }

  private func isPresent(_ value: CompiledLog.Value) -> Bool {
    switch value {
    case .request(let place, let otherwise, _):
      heads.withRequest(place) { $0 != nil } || otherwise.map { heads.withRequest($0) { $0 != nil } } ?? false
    case .response(let place, let otherwise, _):
      heads.withResponse(place) { $0 != nil } || otherwise.map { heads.withResponse($0) { $0 != nil } } ?? false
    case .other(let variable): isPresent(variable)
    }
  }

  private func isPresent(_ variable: LogVariable) -> Bool {
    switch variable {
    case .header(.routeName): exchange.choice?.route.name.isEmpty == false
    case .header(.upstreamCluster): !exchange.cluster.isEmpty
    case .requestDuration: exchange.requestDuration != nil
    case .responseDuration, .responseTransmitDuration: exchange.responseDuration != nil
    case .responseCodeDetails: exchange.cause != .none
    case .upstreamHost: exchange.server != nil
    // The ends of the connection, if there was one.
    case .upstreamHostWithoutPort, .upstreamPort: exchange.server != nil && exchange.cause != .connectFailure
    case .traceID: !exchange.traceID.isNone
    case .serverName: false
    default: true
    }
  }

  private func write(_ variable: LogVariable, isQuoted: Bool, to writer: inout HeadWriter) -> Bool {
    guard isPresent(variable) else { return false }
    func put(_ text: String) { if isQuoted { writer.put(escaped: text.utf8) } else { writer.put(text.utf8) } }
    func milliseconds(_ nanoseconds: UInt64) { writer.put(decimal: Int(clamping: nanoseconds / 1_000_000)) }
    let connection = exchange.connection
    switch variable {
    case .header(.request), .header(.response), .serverName: return false
    case .header(.protocol): put(connection.protocol)
    case .header(.routeName): put(exchange.choice?.route.name ?? "")
    case .header(.upstreamCluster): put(exchange.cluster)
    case .header(.hostname): put(connection.hostname)
    case .header(.responseCode): writer.put(decimal: Int(exchange.status))
    case .header(.remoteAddress): writer.put(connection.remoteAddress, port: connection.remotePort)
    case .header(.remoteAddressWithoutPort): writer.put(connection.remoteAddress.utf8)
    case .header(.remotePort): writer.put(decimal: Int(connection.remotePort))
    case .header(.localAddress): writer.put(connection.localAddress, port: connection.localPort)
    case .header(.localAddressWithoutPort): writer.put(connection.localAddress.utf8)
    case .header(.localPort): writer.put(decimal: Int(connection.localPort))
    case .startTime(let format): writer.put(time: exchange.start, format)
    case .bytesReceived: writer.put(decimal: Int(clamping: exchange.received))
    case .bytesSent: writer.put(decimal: Int(clamping: exchange.sent))
    case .duration: milliseconds(exchange.duration)
    case .requestDuration: milliseconds(exchange.requestDuration ?? 0)
    case .responseDuration: milliseconds(exchange.responseDuration ?? 0)
    case .responseTransmitDuration: milliseconds(exchange.duration &- (exchange.responseDuration ?? 0))
    case .responseFlags: writer.put(exchange.flags) { $0.short }
    case .responseFlagsLong: writer.put(exchange.flags) { $0.long }
    case .responseCodeDetails: writer.put(exchange.cause.details)
    case .upstreamHost: if let server = exchange.server { writer.put(server.address, port: server.port) }
    case .upstreamHostWithoutPort: if let server = exchange.server { writer.put(server.address) }
    case .upstreamPort: writer.put(decimal: Int(exchange.server?.port ?? 0))
    case .attempts: writer.put(decimal: exchange.attempts)
    case .traceID:
      writer.put(hexadecimal: exchange.traceID.high)
      writer.put(hexadecimal: exchange.traceID.low)
    }
    return true
  }
}

extension CompiledLog.Value {
  fileprivate var isNumber: Bool {
    if case .other(let variable) = self { variable.isNumber } else { false }
  }
}

extension HeadWriter {
  fileprivate mutating func put(_ flags: ResponseFlags, _ word: (ResponseFlag) -> StaticString) {
    if flags.isEmpty { return put("-") }
    var isFirst = true
    for flag in ResponseFlag.allCases where flags.contains(ResponseFlags(flag)) {
      if !isFirst { put(",") }
      isFirst = false
      put(word(flag))
    }
  }

  /// In UTC.
  fileprivate mutating func put(time nanoseconds: UInt64, _ format: LogTimeFormat) {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var fraction = nanoseconds % 1_000_000_000
    var parts = tm()
    gmtime_r(&seconds, &parts)
    for part in format.parts {
      switch part {
      case .seconds: put(decimal: seconds)
      case .fraction(let digits):
        var divisor: UInt64 = 100_000_000
        fraction = nanoseconds % 1_000_000_000
        for _ in 0..<digits {
          var digit = UInt8(truncatingIfNeeded: fraction / divisor % 10 + 0x30)
          put(&digit, 1)
          divisor /= 10
        }
      case .calendar(let text):
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { memory in
          guard let base = memory.baseAddress else { return }
          let count = strftime(base, memory.count, text, &parts)
          base.withMemoryRebound(to: UInt8.self, capacity: memory.count) { put($0, count) }
        }
      }
    }
  }
}
