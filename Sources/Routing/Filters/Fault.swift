import JSON

/// `envoy.extensions.filters.http.fault.v3.HTTPFault`: some requests wait, or are answered with an error.
public struct Fault: Hashable, Sendable {
  public struct Delay: Hashable, Sendable {
    /// nil: as long as the request's header `x-envoy-fault-delay-request` says, in milliseconds.
    public let duration: Duration?
    public let part: Fraction
  }

  public struct Abort: Hashable, Sendable {
    /// nil: that of the request's header `x-envoy-fault-abort-request`.
    public let status: UInt16?
    public let part: Fraction
    /// nil for Envoy's own words.
    public let body: String?
  }

  /// A request that is delayed may be answered behind it.
  public let delay: Delay?
  public let abort: Abort?
  /// Only requests on their way to this cluster; empty for all.
  public let cluster: String
  /// Only requests with all of these.
  public let headers: [HeaderMatcher]

  static let fields = MessageFields(
    "envoy.extensions.filters.http.fault.v3.HTTPFault", read: ["delay", "abort", "upstream_cluster", "headers"],
    withoutEffect: [
      // There is no runtime to override anything.
      "delay_percent_runtime", "abort_percent_runtime", "delay_duration_runtime", "abort_http_status_runtime",
      "max_active_faults_runtime", "response_rate_limit_percent_runtime", "abort_grpc_status_runtime",
      "disable_downstream_cluster_stats", "filter_metadata",
    ], refused: ["downstream_nodes", "max_active_faults", "response_rate_limit"])
  static let delayFields = MessageFields(
    "envoy.extensions.filters.common.fault.v3.FaultDelay", read: ["fixed_delay", "header_delay", "percentage"])
  static let abortFields = MessageFields(
    "envoy.extensions.filters.http.fault.v3.FaultAbort",
    read: ["http_status", "header_abort", "percentage", "response_body"], refused: ["grpc_status"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    delay = try message.map("delay", Fault.delay)
    abort = try message.map("abort", Fault.abort)
    cluster = try message.string("upstream_cluster")
    headers = try message.list("headers", HeaderMatcher.init)
  }

  private static func part(_ message: Message) throws(FieldError) -> Fraction {
    try message.map("percentage") { (cursor) throws(FieldError) in try Fraction(cursor) } ?? .empty
  }

  private static func delay(_ cursor: JSONCursor) throws(FieldError) -> Delay {
    let message = try Message(cursor, delayFields)
    switch try message.choice("fixed_delay", "header_delay") {
    case ("fixed_delay", let member)?:
      let duration = try member.protobufTimeout()
      guard duration > .zero else { throw member.error("must be more than 0s") }
      return Delay(duration: duration, part: try part(message))
    case (_, let member)?:
      try member.allowOnly([])
      return Delay(duration: nil, part: try part(message))
    case nil: throw cursor.error("needs fixed_delay or header_delay")
    }
  }

  private static func abort(_ cursor: JSONCursor) throws(FieldError) -> Abort {
    let message = try Message(cursor, abortFields)
    let body = try message.string("response_body")
    switch try message.choice("http_status", "header_abort") {
    case ("http_status", let member)?:
      let status: UInt16 = try member.protobufInteger(in: 200...599)
      return Abort(status: status, part: try part(message), body: body.isEmpty ? nil : body)
    case (_, let member)?:
      try member.allowOnly([])
      return Abort(status: nil, part: try part(message), body: body.isEmpty ? nil : body)
    case nil: throw cursor.error("needs http_status or header_abort")
    }
  }
}

/// ``Fault``, ready to be asked.
final class CompiledFault: Sendable {
  let fault: Fault
  private let headers: [HeaderTest]

  init(_ fault: Fault) throws(FieldError) {
    self.fault = fault
    var headers: [HeaderTest] = []
    for matcher in fault.headers { headers.append(try HeaderTest(matcher)) }
    self.headers = headers
  }

  /// - Parameter cluster: Where the request would go; nil where it has no route, or none to a cluster.
  func concerns(_ request: RequestView, cluster: String?) -> Bool {
    (fault.cluster.isEmpty || fault.cluster == cluster) && headers.allSatisfy { $0.holds(for: request) }
  }

  private static let delay = Array("x-envoy-fault-delay-request".utf8)
  private static let delayPart = Array("x-envoy-fault-delay-request-percentage".utf8)
  private static let abort = Array("x-envoy-fault-abort-request".utf8)
  private static let abortPart = Array("x-envoy-fault-abort-request-percentage".utf8)

  /// How long the request waits; nil for not at all.
  func delay(_ request: RequestView, _ random: () -> UInt64) -> Duration? {
    guard let delay = fault.delay else { return nil }
    if let duration = delay.duration { return delay.part.contains(random()) ? duration : nil }
    guard CompiledFault.part(delay.part, CompiledFault.delayPart, request).contains(random()),
      let milliseconds = CompiledFault.number(CompiledFault.delay, request), milliseconds > 0
    else { return nil }
    // A day is more than any client waits.
    return .milliseconds(Int64(min(milliseconds, 86_400_000)))
  }

  /// The status that the request gets; nil for none.
  func abort(_ request: RequestView, _ random: () -> UInt64) -> UInt16? {
    guard let abort = fault.abort else { return nil }
    if let status = abort.status { return abort.part.contains(random()) ? status : nil }
    guard CompiledFault.part(abort.part, CompiledFault.abortPart, request).contains(random()),
      let status = CompiledFault.number(CompiledFault.abort, request), (200...599).contains(status)
    else { return nil }
    return UInt16(status)
  }

  /// The part that a header asks for, but no more than the configuration allows.
  private static func part(_ part: Fraction, _ name: [UInt8], _ request: RequestView) -> Fraction {
    guard let number = number(name, request), let wanted = UInt32(exactly: number) else { return part }
    return part.limited(to: wanted)
  }

  private static func number(_ name: [UInt8], _ request: RequestView) -> UInt64? {
    request.firstValue(name).flatMap { UInt64(decimal: $0) }
  }
}

extension UInt64 {
  /// Decimal digits with white space around them; nil for anything else.
  fileprivate init?(decimal text: UnsafeRawBufferPointer) {
    guard let number = Int64(decimal: text), number >= 0 else { return nil }
    self.init(number)
  }
}
