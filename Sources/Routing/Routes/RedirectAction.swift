import JSON

/// `envoy.config.route.v3.RedirectAction`: the client is sent to another address.
public struct RedirectAction: Hashable, Sendable {
  public enum Path: Hashable, Sendable {
    /// All of the path, with a query of its own or with the request's.
    case literal(String)
    /// Replaces what the route matched.
    case matched(with: String)
    case regex(RegexSubstitution)
  }

  /// nil for the request's.
  public let scheme: String?
  public let host: String?
  public let port: UInt16?
  public let path: Path?
  /// 301, 302, 303, 307 or 308.
  public let status: UInt16
  public let stripsQuery: Bool

  static let fields = MessageFields(
    "envoy.config.route.v3.RedirectAction",
    read: [
      "https_redirect", "scheme_redirect", "host_redirect", "port_redirect", "path_redirect", "prefix_rewrite",
      "regex_rewrite", "response_code", "strip_query",
    ], refused: ["path_rewrite"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    switch try message.choice("https_redirect", "scheme_redirect") {
    case ("https_redirect", let member)?: scheme = try member.bool() ? "https" : nil
    case (_, let member)?:
      let text = try member.target()
      scheme = text.isEmpty ? nil : text
    case nil: scheme = nil
    }
    let text = try message.member("host_redirect")?.authority() ?? ""
    host = text.isEmpty ? nil : text
    let number: UInt16 = try message.member("port_redirect")?.protobufInteger() ?? 0
    port = number == 0 ? nil : number
    path = try RedirectAction.path(message)
    let codes = ["MOVED_PERMANENTLY", "FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT"]
    let code = try message.member("response_code")?.protobufEnum(codes) ?? codes[0]
    status = [301, 302, 303, 307, 308][codes.firstIndex(of: code) ?? 0]
    stripsQuery = try message.bool("strip_query")
  }

  private static func path(_ message: Message) throws(FieldError) -> Path? {
    guard let (kind, member) = try message.choice("path_redirect", "prefix_rewrite", "regex_rewrite") else {
      return nil
    }
    switch kind {
    case "path_redirect":
      let path = try member.target()
      return path.isEmpty ? nil : .literal(path)
    case "prefix_rewrite":
      let prefix = try member.target()
      return prefix.isEmpty ? nil : .matched(with: prefix)
    default: return .regex(try RegexSubstitution(member))
    }
  }
}

/// `envoy.config.route.v3.DirectResponseAction`: the proxy answers itself.
public struct DirectResponse: Hashable, Sendable {
  /// 200 to 599.
  public let status: UInt16
  public let body: [UInt8]

  static let fields = MessageFields(
    "envoy.config.route.v3.DirectResponseAction", read: ["status", "body"], refused: ["body_format"])
  static let bodyFields = MessageFields(
    "envoy.config.core.v3.DataSource", read: ["inline_string", "inline_bytes"],
    refused: ["filename", "environment_variable", "watched_directory"])

  init(_ cursor: JSONCursor, bodyLimit: UInt32) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    status = try message.required("status").protobufInteger(in: 200...599)
    guard let source = message.member("body") else {
      body = []
      return
    }
    switch try Message(source, Self.bodyFields).choice("inline_string", "inline_bytes") {
    case ("inline_string", let member)?: body = Array(try member.string().utf8)
    case (_, let member)?: body = try member.protobufBytes()
    case nil: throw source.error("needs inline_string or inline_bytes")
    }
    guard body.count <= Int(bodyLimit) else {
      throw source.error("has \(body.count) bytes, more than max_direct_response_body_size_bytes, \(bodyLimit)")
    }
  }
}
