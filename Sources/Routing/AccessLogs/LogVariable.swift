/// What a line of an access log puts in the place of a `%…%` command.
public enum LogVariable: Hashable, Sendable {
  /// One that headers may have too.
  case header(HeaderVariable)
  /// `%START_TIME(FORMAT)%`: when the request's head was there.
  case startTime(LogTimeFormat)
  /// Octets of bodies.
  case bytesReceived
  case bytesSent
  /// From the request's head to the end of the answer, to the end of the request, and to the beginning of the server's answer,
  /// in milliseconds.
  case duration
  case requestDuration
  case responseDuration
  /// From the beginning of the server's answer to its end.
  case responseTransmitDuration
  case responseFlags
  case responseFlagsLong
  case responseCodeDetails
  case upstreamHost
  case upstreamHostWithoutPort
  case upstreamPort
  /// Attempts, the first one included.
  case attempts
  case traceID
  /// Nothing, as clients do not speak TLS to the proxy.
  case serverName

  init?(_ command: TemplateCommand) {
    if let variable = HeaderVariable(command) {
      self = .header(variable)
      return
    }
    if command.word == "START_TIME", command.length == nil {
      guard let format = LogTimeFormat(command.argument ?? LogTimeFormat.standard) else { return nil }
      self = .startTime(format)
      return
    }
    switch command.plain {
    case "BYTES_RECEIVED": self = .bytesReceived
    case "BYTES_SENT": self = .bytesSent
    case "DURATION": self = .duration
    case "REQUEST_DURATION": self = .requestDuration
    case "RESPONSE_DURATION": self = .responseDuration
    case "RESPONSE_TX_DURATION": self = .responseTransmitDuration
    case "RESPONSE_FLAGS": self = .responseFlags
    case "RESPONSE_FLAGS_LONG": self = .responseFlagsLong
    case "RESPONSE_CODE_DETAILS": self = .responseCodeDetails
    case "UPSTREAM_HOST", "UPSTREAM_REMOTE_ADDRESS": self = .upstreamHost
    case "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": self = .upstreamHostWithoutPort
    case "UPSTREAM_REMOTE_PORT": self = .upstreamPort
    case "UPSTREAM_CLUSTER_RAW": self = .header(.upstreamCluster)
    case "UPSTREAM_REQUEST_ATTEMPT_COUNT": self = .attempts
    case "TRACE_ID": self = .traceID
    case "REQUESTED_SERVER_NAME": self = .serverName
    default: return nil
    }
  }

  /// Whether a document has it as a number.
  public var isNumber: Bool {
    switch self {
    case .bytesReceived, .bytesSent, .duration, .requestDuration, .responseDuration, .responseTransmitDuration,
      .upstreamPort, .attempts, .header(.responseCode), .header(.remotePort), .header(.localPort):
      true
    default: false
    }
  }
}
