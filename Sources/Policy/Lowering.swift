import Identity
import KubernetesAPI

extension PolicyDocument {
  /// - Parameter cluster: the name of the cluster, which the entity `cluster` means.
  public init(_ policy: CiliumNetworkPolicy, cluster: String = "default") {
    self.init(
      key: policy.key, uid: policy.metadata.uid, rules: policy.rules, namespace: policy.metadata.namespace ?? "default",
      cluster: cluster)
  }

  /// - Parameter cluster: the name of the cluster, which the entity `cluster` means.
  public init(_ policy: CiliumClusterwideNetworkPolicy, cluster: String = "default") {
    self.init(key: policy.key, uid: policy.metadata.uid, rules: policy.rules, namespace: nil, cluster: cluster)
  }

  private init(key: ObjectKey, uid: String, rules: [CiliumRule], namespace: String?, cluster: String) {
    var issues: [PolicyIssue] = []
    var sections: [PolicySection] = []
    for rule in rules {
      guard case .endpoints(let selector) = rule.subject else {
        issues.append(
          PolicyIssue(
            path: "\(rule.path).nodeSelector",
            message: "policies about nodes are not enforced yet; this one has no effect"))
        continue
      }
      var lowering = Lowering(namespace: namespace, cluster: cluster, subject: selector)
      let subject = lowering.subject(selector)
      sections.append(
        PolicySection(
          subject: subject,
          defaultDeny: Set(Direction.allCases.filter { rule.defaultDeny($0.kubernetes) }),
          rules: rule.trafficRules.map { lowering.rule($0) }, description: rule.description, path: rule.path))
      issues += lowering.issues
    }
    self.init(key: key, uid: uid, sections: sections, issues: issues)
  }
}

extension Direction {
  init(_ direction: TrafficRule.Direction) {
    switch direction {
    case .ingress: self = .ingress
    case .egress: self = .egress
    }
  }

  fileprivate var kubernetes: TrafficRule.Direction {
    switch self {
    case .ingress: .ingress
    case .egress: .egress
    }
  }
}

/// Lowers the rules of one section and collects what it can not keep. An allow rule that is not understood allows
/// nothing; a deny rule that is not understood denies all that it might have meant.
struct Lowering {
  /// nil for a clusterwide policy.
  let namespace: String?
  let cluster: String
  /// Initializing pods have no namespace yet, so a clusterwide policy about them does not ask peers for one either.
  let subjectIsInit: Bool
  var issues: [PolicyIssue] = []

  init(namespace: String?, cluster: String, subject: EndpointSelector) {
    self.namespace = namespace
    self.cluster = cluster
    subjectIsInit = subject.requirements.contains {
      $0.key == LabelKey(source: LabelSource.reserved.rawValue, name: ReservedIdentity.`init`.name)
    }
  }

  static let staysDenied = "what it would allow stays denied"

  mutating func refuse(_ path: String, _ message: String) {
    issues.append(PolicyIssue(path: path, message: message))
  }

  mutating func rule(_ rule: TrafficRule) -> PolicyRule {
    let direction = Direction(rule.direction)
    func lowered(_ peers: PolicyPeers, _ terms: [PolicyTerm], refused: Bool = false) -> PolicyRule {
      PolicyRule(direction: direction, peers: peers, terms: terms, path: rule.path, isRefused: refused)
    }
    let before = issues.count
    if let requires = rule.requires, requires.value.arrayValue?.isEmpty == false {
      // It narrows every other rule about the subject; without it they would allow too much.
      refuse(requires.path, "not enforced; as it restricts every other rule, all peers are denied in this direction")
      return lowered(.any, [PolicyTerm(protocol: nil, ports: .all, effect: .deny, path: requires.path)], refused: true)
    }
    // Written `{}`: it selects nothing, and only counts for default deny.
    if !rule.namesPeers, (rule.toPorts ?? []).isEmpty, rule.icmps == nil {
      return lowered(.selected([], cidrs: []), [])
    }
    let peers = self.peers(rule)
    var terms = self.terms(rule)
    if let authentication = rule.authentication, authentication.value["mode"]?.stringValue != "disabled" {
      refuse(authentication.path, "mutual authentication is not enforced yet; \(Lowering.staysDenied)")
      terms = []
    }
    if issues.count > before, case .selected(let selectors, _) = peers, selectors.isEmpty { terms = [] }
    return lowered(peers, terms, refused: issues.count > before && terms.isEmpty)
  }
}
