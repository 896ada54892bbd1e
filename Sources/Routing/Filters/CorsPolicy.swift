import JSON

/// `envoy.extensions.filters.http.cors.v3.CorsPolicy`: which pages of other origins may read what a route answers (the Fetch
/// standard, 3.2).
public struct CorsPolicy: Hashable, Sendable {
  public let allowedOrigins: [TextMatcher]
  /// The values of the headers of the same names; empty for none.
  public let allowedMethods: String
  public let allowedHeaders: String
  public let exposedHeaders: String
  public let maximumAge: String
  /// nil for what a less specific level says, of these three.
  public let allowsCredentials: Bool?
  public let allowsPrivateNetwork: Bool?
  /// Preflight requests of other origins go on to the server.
  public let forwardsOthers: Bool?
  /// nil for all requests.
  public let enabled: Fraction?
  /// Of the requests that it is not enabled for, those whose origin is only counted.
  public let shadowed: Fraction?

  static let fields = MessageFields(
    "envoy.extensions.filters.http.cors.v3.CorsPolicy",
    read: [
      "allow_origin_string_match", "allow_methods", "allow_headers", "expose_headers", "max_age", "allow_credentials",
      "filter_enabled", "shadow_enabled", "allow_private_network_access", "forward_not_matching_preflights",
    ])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    func value(_ name: String) throws(FieldError) -> String { try message.member(name)?.headerValue() ?? "" }
    allowedOrigins = try message.list("allow_origin_string_match", TextMatcher.init)
    allowedMethods = try value("allow_methods")
    allowedHeaders = try value("allow_headers")
    exposedHeaders = try value("expose_headers")
    maximumAge = try value("max_age")
    allowsCredentials = try message.optionalBool("allow_credentials")
    allowsPrivateNetwork = try message.optionalBool("allow_private_network_access")
    forwardsOthers = try message.optionalBool("forward_not_matching_preflights")
    enabled = try message.map("filter_enabled") { (cursor) throws(FieldError) in try Fraction(runtime: cursor) }
    shadowed = try message.map("shadow_enabled") { (cursor) throws(FieldError) in try Fraction(runtime: cursor) }
  }
}

extension JSONCursor {
  /// Text that can stand in a header without ending it.
  func headerValue() throws(FieldError) -> String {
    let text = try string()
    guard text.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }) else {
      throw error("control character in a header value")
    }
    return text
  }
}

/// ``CorsPolicy``, ready to be asked.
final class CompiledCors: Sendable {
  let policy: CorsPolicy
  private let origins: [TextTest]

  init(_ policy: CorsPolicy) throws(FieldError) {
    self.policy = policy
    var origins: [TextTest] = []
    for matcher in policy.allowedOrigins { origins.append(try TextTest(matcher)) }
    self.origins = origins
  }

  var hasOrigins: Bool { !origins.isEmpty }

  /// A matcher that takes the text `*` takes every origin.
  func allows(_ origin: UnsafeRawBufferPointer) -> Bool {
    origins.contains { test in
      test.matches(origin) || [UInt8(ascii: "*")].withUnsafeBytes(test.matches)
    }
  }
}

/// The policies of all levels of a request's route, the most specific first: of each field the first that says something holds.
struct CorsPolicies {
  let levels: [CompiledCors]

  func isEnabled(_ random: () -> UInt64) -> Bool {
    guard let first = levels.first?.policy else { return false }
    return first.enabled.map { $0.contains(random()) } ?? true
  }

  func isShadowed(_ random: () -> UInt64) -> Bool {
    levels.first?.policy.shadowed.map { $0.contains(random()) } ?? false
  }

  func allows(_ origin: UnsafeRawBufferPointer) -> Bool { levels.first(where: \.hasOrigins)?.allows(origin) ?? false }

  private func flag(_ path: KeyPath<CorsPolicy, Bool?>) -> Bool? {
    levels.lazy.compactMap { $0.policy[keyPath: path] }.first
  }

  private func text(_ path: KeyPath<CorsPolicy, String>) -> String? {
    levels.lazy.map { $0.policy[keyPath: path] }.first { !$0.isEmpty }
  }

  var forwardsOthers: Bool { flag(\.forwardsOthers) ?? true }

  /// What a response to a request of an allowed origin says.
  func apply(to headers: inout EditedHeaders, origin: [UInt8]) {
    headers.edits.set("access-control-allow-origin", origin)
    if flag(\.allowsCredentials) == true {
      headers.edits.set("access-control-allow-credentials", Array("true".utf8))
    }
    if let exposed = text(\.exposedHeaders) {
      headers.edits.set("access-control-expose-headers", Array(exposed.utf8))
    }
  }

  private static let method = Array("access-control-request-method".utf8)
  private static let headers = Array("access-control-request-headers".utf8)
  private static let network = Array("access-control-request-private-network".utf8)

  static func isPreflight(_ request: RequestView) -> Bool {
    request.http.method.elementsEqual("OPTIONS".utf8)
      && request.withHeader(method, skipsEmpty: true) { $0.map { !$0.isEmpty } ?? false }
  }

  /// The headers of the answer to a preflight request. A `*` stands for what the request asks for.
  func preflight(_ request: RequestView, origin: [UInt8]?) -> HeaderEdits {
    var edits = HeaderEdits()
    func asked(_ name: [UInt8]) -> [UInt8] { request.withHeader(name, skipsEmpty: true) { $0.map { Array($0) } ?? [] } }
    if let origin { edits.set("access-control-allow-origin", origin) }
    if flag(\.allowsCredentials) == true { edits.set("access-control-allow-credentials", Array("true".utf8)) }
    if let methods = text(\.allowedMethods) {
      edits.set("access-control-allow-methods", methods == "*" ? asked(Self.method) : Array(methods.utf8))
    }
    if let allowed = text(\.allowedHeaders) {
      edits.set("access-control-allow-headers", allowed == "*" ? asked(Self.headers) : Array(allowed.utf8))
    }
    if let age = text(\.maximumAge) { edits.set("access-control-max-age", Array(age.utf8)) }
    if flag(\.allowsPrivateNetwork) == true, asked(Self.network).elementsEqual("true".utf8) {
      edits.set("access-control-allow-private-network", Array("true".utf8))
    }
    return edits
  }
}
