import JSON
import Labels

/// `spec`, or one element of `specs`, of a CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy.
public struct CiliumRule: Hashable, Sendable {
  /// Whom the rule is about.
  public enum Subject: Hashable, Sendable {
    case endpoints(EndpointSelector)
    /// Host policy; only in clusterwide policies.
    case nodes(EndpointSelector)

    public var selector: EndpointSelector {
      switch self {
      case .endpoints(let selector), .nodes(let selector): selector
      }
    }
  }

  public let subject: Subject
  /// Each of the four lists is nil when its field is absent.
  public let ingress: [TrafficRule]?
  public let ingressDeny: [TrafficRule]?
  public let egress: [TrafficRule]?
  public let egressDeny: [TrafficRule]?
  /// As written; nil leaves it to `defaultDeny(_:)`.
  public let enableDefaultDenyIngress: Bool?
  public let enableDefaultDenyEgress: Bool?
  public let labels: RawField?
  public let description: String?
  /// `log.value`: text to add to log messages about the rule.
  public let logValue: String?
  /// `spec`, or `specs[1]`.
  public let path: String

  public init(
    subject: Subject, ingress: [TrafficRule]? = nil, ingressDeny: [TrafficRule]? = nil, egress: [TrafficRule]? = nil,
    egressDeny: [TrafficRule]? = nil, enableDefaultDenyIngress: Bool? = nil, enableDefaultDenyEgress: Bool? = nil,
    labels: RawField? = nil, description: String? = nil, logValue: String? = nil, path: String = "spec"
  ) {
    self.subject = subject
    self.ingress = ingress
    self.ingressDeny = ingressDeny
    self.egress = egress
    self.egressDeny = egressDeny
    self.enableDefaultDenyIngress = enableDefaultDenyIngress
    self.enableDefaultDenyEgress = enableDefaultDenyEgress
    self.labels = labels
    self.description = description
    self.logValue = logValue
    self.path = path
  }

  /// Whether the subject is denied what no rule allows in that direction. Unless written, it is when the rule has any
  /// element for the direction, be it empty or a deny rule.
  public func defaultDeny(_ direction: TrafficRule.Direction) -> Bool {
    func has(_ rules: [TrafficRule]?) -> Bool { !(rules ?? []).isEmpty }
    return switch direction {
    case .ingress: enableDefaultDenyIngress ?? (has(ingress) || has(ingressDeny))
    case .egress: enableDefaultDenyEgress ?? (has(egress) || has(egressDeny))
    }
  }

  /// The rules of all four lists: ingress, ingressDeny, egress, egressDeny.
  public var trafficRules: [TrafficRule] {
    (ingress ?? []) + (ingressDeny ?? []) + (egress ?? []) + (egressDeny ?? [])
  }
}

extension CiliumRule {
  init(_ cursor: JSONCursor, clusterwide: Bool) throws(FieldError) {
    try cursor.allowOnly([
      "endpointSelector", "nodeSelector", "ingress", "ingressDeny", "egress", "egressDeny", "enableDefaultDeny",
      "labels", "description", "log",
    ])
    func rules(
      _ key: String, _ direction: TrafficRule.Direction, _ action: TrafficRule.Action
    ) throws(FieldError) -> [TrafficRule]? {
      try cursor.list(key) { (element) throws(FieldError) in try TrafficRule(element, direction, action) }
    }
    let defaultDeny = try cursor.member("enableDefaultDeny")
    try defaultDeny?.allowOnly(["ingress", "egress"])
    let log = try cursor.member("log")
    try log?.allowOnly(["value"])
    self.init(
      subject: try CiliumRule.subject(cursor, clusterwide: clusterwide),
      ingress: try rules("ingress", .ingress, .allow), ingressDeny: try rules("ingressDeny", .ingress, .deny),
      egress: try rules("egress", .egress, .allow), egressDeny: try rules("egressDeny", .egress, .deny),
      enableDefaultDenyIngress: try defaultDeny?.member("ingress")?.bool(),
      enableDefaultDenyEgress: try defaultDeny?.member("egress")?.bool(),
      labels: try CiliumRule.labels(cursor), description: try cursor.member("description")?.string(),
      logValue: try log?.member("value")?.string(), path: cursor.path)
    guard !trafficRules.isEmpty else {
      throw cursor.error("needs at least one element in ingress, ingressDeny, egress or egressDeny")
    }
    guard case .nodes = subject else { return }
    for rule in trafficRules {
      for port in rule.toPorts ?? [] {
        guard let l7 = port.rules, l7.dns == nil else { continue }
        throw FieldError(path: l7.path, message: "L7 rules are not supported for nodes")
      }
    }
  }

  private static func subject(_ cursor: JSONCursor, clusterwide: Bool) throws(FieldError) -> Subject {
    switch (try cursor.member("endpointSelector"), try cursor.member("nodeSelector")) {
    case (let endpoints?, nil): return .endpoints(try EndpointSelector(endpoints))
    case (nil, let nodes?):
      guard clusterwide else { throw nodes.error("only a CiliumClusterwideNetworkPolicy can select nodes") }
      return .nodes(try EndpointSelector(nodes))
    case (nil, nil): throw cursor.error("needs endpointSelector or nodeSelector")
    case (_?, let nodes?): throw nodes.error("can not stand beside endpointSelector")
    }
  }

  private static func labels(_ cursor: JSONCursor) throws(FieldError) -> RawField? {
    guard let member = try cursor.member("labels") else { return nil }
    for label in try member.elements() {
      try label.allowOnly(["key", "source", "value"])
      _ = try label.required("key").string()
      _ = try label.member("source")?.string()
      _ = try label.member("value")?.string()
    }
    return RawField(member)
  }
}
