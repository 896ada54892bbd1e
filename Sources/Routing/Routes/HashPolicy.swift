import JSON

/// `envoy.config.route.v3.RouteAction.HashPolicy`: what of a request the choice among the endpoints of a ring or a Maglev
/// table depends on.
public struct HashPolicy: Hashable, Sendable {
  public enum Source: Hashable, Sendable {
    case header(name: String, rewrite: RegexSubstitution?)
    /// A cookie; with a time to live (zero for the session's end) it is made where it is missing.
    case cookie(name: String, lifetime: Duration?, path: String, attributes: [CookieAttribute])
    case sourceAddress
    case queryParameter(String)
  }

  public struct CookieAttribute: Hashable, Sendable {
    public let name: String
    public let value: String
  }

  public let source: Source
  /// Where this policy has given a hash, those behind it are not asked.
  public let isTerminal: Bool

  static let fields = MessageFields(
    "envoy.config.route.v3.RouteAction.HashPolicy",
    read: ["header", "cookie", "connection_properties", "query_parameter", "terminal"], refused: ["filter_state"])
  static let headerFields = MessageFields(
    "envoy.config.route.v3.RouteAction.HashPolicy.Header", read: ["header_name", "regex_rewrite"])
  static let cookieFields = MessageFields(
    "envoy.config.route.v3.RouteAction.HashPolicy.Cookie", read: ["name", "ttl", "path", "attributes"])
  static let attributeFields = MessageFields(
    "envoy.config.route.v3.RouteAction.HashPolicy.CookieAttribute", read: ["name", "value"])
  static let connectionFields = MessageFields(
    "envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties", read: ["source_ip"])
  static let parameterFields = MessageFields(
    "envoy.config.route.v3.RouteAction.HashPolicy.QueryParameter", read: ["name"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    isTerminal = try message.bool("terminal")
    switch try message.choice("header", "cookie", "connection_properties", "query_parameter") {
    case ("header", let member)?:
      let header = try Message(member, Self.headerFields)
      source = .header(
        name: try header.required("header_name").headerName(allowingPseudo: true),
        rewrite: try header.map("regex_rewrite", RegexSubstitution.init))
    case ("cookie", let member)?:
      let cookie = try Message(member, Self.cookieFields)
      source = .cookie(
        name: try cookie.cookieText("name"), lifetime: try cookie.member("ttl")?.protobufTimeout(),
        path: try cookie.cookieText("path", mayBeEmpty: true),
        attributes: try cookie.list("attributes") { (cursor) throws(FieldError) in
          let attribute = try Message(cursor, Self.attributeFields)
          return CookieAttribute(
            name: try attribute.cookieText("name"), value: try attribute.cookieText("value", mayBeEmpty: true))
        })
    case ("connection_properties", let member)?:
      let address = try Message(member, Self.connectionFields)
      guard try address.bool("source_ip") else { throw member.error("needs source_ip: there is nothing else to hash") }
      source = .sourceAddress
    case (_, let member)?:
      source = .queryParameter(try Message(member, Self.parameterFields).name("name"))
    case nil: throw cursor.error("needs header, cookie, connection_properties or query_parameter")
    }
  }
}

extension Message {
  /// A part of a cookie, which is written as it stands and must not end the line.
  fileprivate func cookieText(_ name: String, mayBeEmpty: Bool = false) throws(FieldError) -> String {
    let text = try mayBeEmpty ? string(name) : self.name(name)
    guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
      throw try required(name).error("control character in a cookie")
    }
    return text
  }
}
