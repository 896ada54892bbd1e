public import Addressing
import JSON

/// `envoy.extensions.filters.http.rbac.v3.RBAC`: which requests are let through.
public struct AccessControl: Hashable, Sendable {
  /// nil: all are.
  public let rules: AccessRules?
  /// What is only counted.
  public let shadowRules: AccessRules?

  static let fields = MessageFields(
    "envoy.extensions.filters.http.rbac.v3.RBAC", read: ["rules", "shadow_rules"],
    // Names of statistics.
    withoutEffect: ["rules_stat_prefix", "shadow_rules_stat_prefix", "track_per_rule_stats"],
    refused: ["matcher", "shadow_matcher"])
  static let routeFields = MessageFields("envoy.extensions.filters.http.rbac.v3.RBACPerRoute", read: ["rbac"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    rules = try message.map("rules", AccessRules.init)
    shadowRules = try message.map("shadow_rules", AccessRules.init)
  }
}

/// `envoy.config.rbac.v3.RBAC`
public struct AccessRules: Hashable, Sendable {
  /// Requests that a policy matches are denied, and all others allowed; else the other way round.
  public let denies: Bool
  /// In the order of their names.
  public let policies: [AccessPolicy]

  static let fields = MessageFields(
    "envoy.config.rbac.v3.RBAC", read: ["action", "policies"], refused: ["audit_logging_options"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    let action = try message.member("action")?.protobufEnum(["ALLOW", "DENY", "LOG"]) ?? "ALLOW"
    guard action != "LOG" else {
      throw try message.required("action").error(
        "LOG is not supported: there is no access log that it could choose for")
    }
    denies = action == "DENY"
    var policies: [AccessPolicy] = []
    for (name, member) in try message.member("policies")?.members() ?? [] {
      policies.append(try AccessPolicy(name, member))
    }
    self.policies = policies.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }
}

/// `envoy.config.rbac.v3.Policy`: any of the permissions, for any of the principals.
public struct AccessPolicy: Hashable, Sendable {
  public let name: String
  public let permissions: [AccessTest]
  public let principals: [AccessTest]

  static let fields = MessageFields(
    "envoy.config.rbac.v3.Policy", read: ["permissions", "principals"],
    refused: ["condition", "checked_condition", "cel_config"])

  init(_ name: String, _ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    self.name = name
    permissions = try message.list("permissions", AccessTest.init(permission:))
    principals = try message.list("principals", AccessTest.init(principal:))
    guard !permissions.isEmpty else { throw (message.member("permissions") ?? cursor).error("needs a permission") }
    guard !principals.isEmpty else { throw (message.member("principals") ?? cursor).error("needs a principal") }
  }
}

/// `envoy.config.rbac.v3.Permission` and `envoy.config.rbac.v3.Principal`: something that a request, or its client, is.
public indirect enum AccessTest: Hashable, Sendable {
  case any
  case all([AccessTest])
  case oneOf([AccessTest])
  case not(AccessTest)
  case header(HeaderMatcher)
  /// The path without its query.
  case path(TextMatcher)
  /// The address that the client connected to.
  case destination(CIDR)
  case destinationPort(Range<Int32>)
  /// The client's own address, whatever headers say.
  case source(CIDR)

  static let permissionFields = MessageFields(
    "envoy.config.rbac.v3.Permission",
    read: [
      "and_rules", "or_rules", "any", "header", "url_path", "destination_ip", "destination_port",
      "destination_port_range", "not_rule",
    ], refused: ["metadata", "requested_server_name", "matcher", "uri_template", "sourced_metadata"])
  static let permissionSetFields = MessageFields("envoy.config.rbac.v3.Permission.Set", read: ["rules"])
  static let principalFields = MessageFields(
    "envoy.config.rbac.v3.Principal",
    read: ["and_ids", "or_ids", "any", "source_ip", "direct_remote_ip", "remote_ip", "header", "url_path", "not_id"],
    refused: ["authenticated", "metadata", "filter_state", "sourced_metadata", "custom"])
  static let principalSetFields = MessageFields("envoy.config.rbac.v3.Principal.Set", read: ["ids"])
  static let pathFields = MessageFields("envoy.type.matcher.v3.PathMatcher", read: ["path"])
  static let blockFields = MessageFields("envoy.config.core.v3.CidrRange", read: ["address_prefix", "prefix_len"])
  static let portFields = MessageFields("envoy.type.v3.Int32Range", read: ["start", "end"])

  init(permission cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.permissionFields)
    let choice = try message.choice(
      "and_rules", "or_rules", "any", "header", "url_path", "destination_ip", "destination_port",
      "destination_port_range", "not_rule")
    guard let (name, member) = choice else { throw cursor.error("needs a rule") }
    switch name {
    case "and_rules":
      self = .all(try AccessTest.set(member, Self.permissionSetFields, "rules", AccessTest.init(permission:)))
    case "or_rules":
      self = .oneOf(try AccessTest.set(member, Self.permissionSetFields, "rules", AccessTest.init(permission:)))
    case "not_rule": self = .not(try AccessTest(permission: member))
    case "destination_ip": self = .destination(try AccessTest.block(member))
    case "destination_port":
      let port: Int32 = try member.protobufInteger(in: 0...65535)
      self = .destinationPort(port..<port + 1)
    case "destination_port_range":
      let range = try Message(member, Self.portFields)
      let start: Int32 = try range.member("start")?.protobufInteger(in: 0...65536) ?? 0
      let end: Int32 = try range.member("end")?.protobufInteger(in: 0...65536) ?? 0
      guard start < end else { throw member.error("ends before it starts, or is empty") }
      self = .destinationPort(start..<end)
    default: self = try AccessTest.common(name, member)
    }
  }

  init(principal cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.principalFields)
    let choice = try message.choice(
      "and_ids", "or_ids", "any", "source_ip", "direct_remote_ip", "remote_ip", "header", "url_path", "not_id")
    guard let (name, member) = choice else { throw cursor.error("needs an identifier") }
    switch name {
    case "and_ids": self = .all(try AccessTest.set(member, Self.principalSetFields, "ids", AccessTest.init(principal:)))
    case "or_ids":
      self = .oneOf(try AccessTest.set(member, Self.principalSetFields, "ids", AccessTest.init(principal:)))
    case "not_id": self = .not(try AccessTest(principal: member))
    case "source_ip", "direct_remote_ip", "remote_ip": self = .source(try AccessTest.block(member))
    default: self = try AccessTest.common(name, member)
    }
  }

  private static func common(_ name: String, _ member: JSONCursor) throws(FieldError) -> AccessTest {
    switch name {
    case "header": return .header(try HeaderMatcher(member))
    case "url_path": return .path(try TextMatcher(try Message(member, pathFields).required("path")))
    default:
      guard try member.bool() else { throw member.error("must be true") }
      return .any
    }
  }

  private static func set(
    _ cursor: JSONCursor, _ fields: MessageFields, _ name: String,
    _ decode: (JSONCursor) throws(FieldError) -> AccessTest
  ) throws(FieldError) -> [AccessTest] {
    let message = try Message(cursor, fields)
    let tests = try message.list(name, decode)
    guard !tests.isEmpty else { throw (message.member(name) ?? cursor).error("must not be empty") }
    return tests
  }

  private static func block(_ cursor: JSONCursor) throws(FieldError) -> CIDR {
    let message = try Message(cursor, blockFields)
    guard let address = IPAddress(try message.name("address_prefix")) else {
      throw try message.required("address_prefix").error("must be an IP address")
    }
    let length: Int = try message.member("prefix_len")?.protobufInteger(in: 0...(address.isIPv4 ? 32 : 128)) ?? 0
    guard let block = CIDR(address, length: length) else { throw cursor.error("is no block of addresses") }
    return block
  }
}
