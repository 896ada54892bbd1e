import JSON

/// `envoy.config.core.v3.HealthCheck.HttpHealthCheck`: an endpoint is healthy that answers a request as expected.
public struct HTTPHealthCheck: Hashable, Sendable {
  public struct Header: Hashable, Sendable {
    public let name: String
    public let value: String
    public let action: HeaderAddition.Action
  }

  /// Empty for the cluster's name.
  public let host: String
  public let path: String
  public let method: String
  public let expectedStatuses: [Range<Int64>]
  /// What counts towards the threshold; any other answer is a failure at once.
  public let retriableStatuses: [Range<Int64>]
  public let headers: [Header]
  /// Of those that each check has: `user-agent`.
  public let removedHeaders: [String]

  static let fields = MessageFields(
    "envoy.config.core.v3.HealthCheck.HttpHealthCheck",
    read: [
      "host", "path", "method", "expected_statuses", "retriable_statuses", "request_headers_to_add",
      "request_headers_to_remove", "codec_client_type",
    ], refused: ["send", "receive", "response_buffer_size", "service_name_matcher"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    host = try message.member("host")?.authority() ?? ""
    path = try message.required("path").target()
    guard path.hasPrefix("/") else { throw try message.required("path").error("must begin with a slash") }
    let methods = [
      "METHOD_UNSPECIFIED", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ]
    let method = try message.member("method")?.protobufEnum(methods) ?? "GET"
    guard method != "CONNECT" else { throw try message.required("method").error("can not be CONNECT") }
    self.method = method == methods[0] ? "GET" : method
    let expected = try message.list("expected_statuses", HTTPHealthCheck.statuses)
    expectedStatuses = expected.isEmpty ? [200..<201] : expected
    retriableStatuses = try message.list("retriable_statuses", HTTPHealthCheck.statuses)
    headers = try message.list("request_headers_to_add", HTTPHealthCheck.header)
    removedHeaders = try message.list("request_headers_to_remove") { (cursor) throws(FieldError) in
      try cursor.headerName()
    }
    if let codec = message.member("codec_client_type"),
      try codec.protobufEnum(["HTTP1", "HTTP2", "HTTP3"]) != "HTTP1"
    {
      throw codec.error("is not supported; HTTP1 is")
    }
  }

  private static func statuses(_ cursor: JSONCursor) throws(FieldError) -> Range<Int64> {
    let message = try Message(cursor, HeaderMatcher.rangeFields)
    let start: Int64 = try message.required("start").protobufInteger(in: 100...599)
    let end: Int64 = try message.required("end").protobufInteger(in: 101...600)
    guard start < end else { throw cursor.error("start must be less than end") }
    return start..<end
  }

  private static func header(_ cursor: JSONCursor) throws(FieldError) -> Header {
    let addition = try HeaderAddition(cursor)
    var value = ""
    for piece in addition.value.pieces {
      guard case .text(let text) = piece else { throw cursor.error("variables mean nothing in a check") }
      value += text
    }
    return Header(name: addition.name, value: value, action: addition.action)
  }
}

/// `envoy.config.core.v3.HealthCheck.TcpHealthCheck`: an endpoint is healthy that takes a connection, and says what it must.
public struct TCPHealthCheck: Hashable, Sendable {
  public let send: [UInt8]
  /// To be found in this order in what the endpoint says; empty where the connection is enough.
  public let receive: [[UInt8]]

  static let fields = MessageFields(
    "envoy.config.core.v3.HealthCheck.TcpHealthCheck", read: ["send", "receive"], refused: ["proxy_protocol_config"])
  static let payloadFields = MessageFields(
    "envoy.config.core.v3.HealthCheck.Payload", read: ["text", "binary"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    send = try message.map("send", TCPHealthCheck.payload) ?? []
    receive = try message.list("receive", TCPHealthCheck.payload)
    if !send.isEmpty, receive.isEmpty {
      throw try message.required("send").error("is never sent without receive: the connection is enough then")
    }
  }

  private static func payload(_ cursor: JSONCursor) throws(FieldError) -> [UInt8] {
    let message = try Message(cursor, payloadFields)
    switch try message.choice("text", "binary") {
    case ("text", let member)?:
      guard let bytes = [UInt8](hexadecimal: try member.nonEmpty()) else { throw member.error("is not hexadecimal") }
      return bytes
    case (_, let member)?: return try member.protobufBytes()
    case nil: throw cursor.error("needs text or binary")
    }
  }
}

extension [UInt8] {
  /// Two digits for each byte.
  fileprivate init?(hexadecimal text: String) {
    let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count == text.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
    self = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }
}
