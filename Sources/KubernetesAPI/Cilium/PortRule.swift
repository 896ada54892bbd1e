import JSON

/// One element of `toPorts`: ports, and what may be asked on them.
public struct PortRule: Hashable, Sendable {
  /// Alternatives; empty means every port.
  public let ports: [PortProtocol]
  /// nil where only layers 3 and 4 decide. Always nil in a deny rule.
  public let rules: L7Rules?
  public let terminatingTLS: RawField?
  public let originatingTLS: RawField?
  /// Names that a TLS client must ask for; nil when the field is absent.
  public let serverNames: [ServerName]?
  public let listener: RawField?
  public let path: String

  public init(
    ports: [PortProtocol], rules: L7Rules? = nil, terminatingTLS: RawField? = nil, originatingTLS: RawField? = nil,
    serverNames: [ServerName]? = nil, listener: RawField? = nil, path: String = ""
  ) {
    self.ports = ports
    self.rules = rules
    self.terminatingTLS = terminatingTLS
    self.originatingTLS = originatingTLS
    self.serverNames = serverNames
    self.listener = listener
    self.path = path
  }

  static let maximumPorts = 40
}

extension PortRule {
  private static let l7Fields: Set = ["rules", "terminatingTLS", "originatingTLS", "serverNames", "listener"]

  init(_ cursor: JSONCursor, _ direction: TrafficRule.Direction, _ action: TrafficRule.Action) throws(FieldError) {
    if action == .deny {
      for (key, field) in try cursor.members() where PortRule.l7Fields.contains(key) {
        throw field.error("not allowed in a deny rule, which decides by layers 3 and 4 only")
      }
    }
    try cursor.allowOnly(PortRule.l7Fields.union(["ports"]))
    self.init(
      ports: try cursor.list("ports", PortProtocol.init) ?? [],
      rules: try cursor.member("rules").map { (rules) throws(FieldError) in try L7Rules(rules) },
      terminatingTLS: try PortRule.tls(cursor.member("terminatingTLS")),
      originatingTLS: try PortRule.tls(cursor.member("originatingTLS")),
      serverNames: try cursor.list("serverNames", ServerName.init), listener: try PortRule.listener(cursor),
      path: cursor.path)
    guard ports.count <= PortRule.maximumPorts else {
      throw FieldError(path: "\(path).ports", message: "too many ports, at most \(PortRule.maximumPorts)")
    }
    if let listener {
      guard direction == .egress else { throw FieldError(path: listener.path, message: "not allowed on ingress") }
      guard rules == nil else { throw FieldError(path: listener.path, message: "not allowed together with L7 rules") }
    }
    if let serverNames, serverNames.isEmpty {
      throw FieldError(path: "\(path).serverNames", message: "must not be empty")
    }
    if serverNames != nil, rules != nil, terminatingTLS == nil {
      throw FieldError(path: "\(path).serverNames", message: "needs terminatingTLS to be combined with L7 rules")
    }
    if let rules { try check(rules, direction) }
  }

  /// The combinations of L7 rules, ports and direction that Cilium refuses.
  private func check(_ rules: L7Rules, _ direction: TrafficRule.Direction) throws(FieldError) {
    if let dns = rules.dns {
      guard direction == .egress else {
        throw FieldError(path: "\(rules.path).dns", message: "DNS rules are not allowed on ingress")
      }
      guard !ports.isEmpty else {
        throw FieldError(path: "\(rules.path).dns", message: "DNS rules need port 53 to be named")
      }
      for port in ports where !dns.isEmpty && port.endPort.map({ .number($0) != port.port }) ?? false {
        throw FieldError(path: "\(port.path).endPort", message: "DNS rules do not support port ranges")
      }
    }
    for port in ports {
      if rules.dns == nil, port.protocol != .tcp {
        throw FieldError(
          path: "\(port.path).protocol", message: "L7 rules need protocol TCP here, not \(port.protocol.rawValue)")
      }
      guard port.port != .number(0) else {
        throw FieldError(path: "\(port.path).port", message: "L7 rules can not be used with port 0")
      }
    }
  }

  private static func tls(_ cursor: JSONCursor?) throws(FieldError) -> RawField? {
    guard let cursor else { return nil }
    try cursor.allowOnly(["secret", "trustedCA", "certificate", "privateKey"])
    try cursor.required("secret").allowOnly(["name", "namespace"])
    _ = try cursor.required("secret").required("name").string()
    return RawField(cursor)
  }

  private static func listener(_ cursor: JSONCursor) throws(FieldError) -> RawField? {
    guard let member = try cursor.member("listener") else { return nil }
    try member.allowOnly(["envoyConfig", "name", "priority"])
    _ = try member.required("name").string()
    let config = try member.required("envoyConfig")
    try config.allowOnly(["kind", "name"])
    _ = try config.required("name").string()
    if let priority = try member.member("priority") { let _: UInt8 = try priority.integer(in: 1...100) }
    return RawField(member)
  }
}
