import Identity
import KubernetesAPI

extension PolicyDocument {
  public init(_ policy: CiliumNetworkPolicy, in context: PolicyContext = PolicyContext()) {
    self.init(
      key: policy.key, metadata: policy.metadata, rules: policy.rules,
      namespace: policy.metadata.namespace ?? "default", context: context)
  }

  public init(_ policy: CiliumClusterwideNetworkPolicy, in context: PolicyContext = PolicyContext()) {
    self.init(key: policy.key, metadata: policy.metadata, rules: policy.rules, namespace: nil, context: context)
  }

  private init(
    key: ObjectKey, metadata: ObjectMeta, rules: [CiliumRule], namespace: String?, context: PolicyContext
  ) {
    let (mode, mistakes) = PolicyMode.read(metadata.annotations)
    var issues = mistakes
    var sections: [PolicySection] = []
    var references: Set<PolicyContext.Reference> = []
    for rule in rules {
      var lowering = Lowering(namespace: namespace, context: context, subject: rule.subject)
      let subject: IdentitySelector
      switch rule.subject {
      case .endpoints(let selector): subject = lowering.subject(selector)
      case .nodes(let selector): subject = lowering.host(selector)
      }
      sections.append(
        PolicySection(
          subject: subject,
          defaultDeny: Set(Direction.allCases.filter { rule.defaultDeny($0.kubernetes) }),
          rules: rule.trafficRules.map { lowering.rule($0) }, description: rule.description, log: rule.logValue,
          path: rule.path))
      issues += lowering.issues
      references.formUnion(lowering.references)
    }
    self.init(
      key: key, uid: metadata.uid, sections: sections, issues: issues, references: references, mode: mode)
  }
}

extension Direction {
  init(_ direction: TrafficRule.Direction) {
    switch direction {
    case .ingress: self = .ingress
    case .egress: self = .egress
    }
  }

  var kubernetes: TrafficRule.Direction {
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
  let context: PolicyContext
  /// Initializing pods have no namespace yet, so a clusterwide policy about them does not ask peers for one either.
  let subjectIsInit: Bool
  var issues: [PolicyIssue] = []
  var references: Set<PolicyContext.Reference> = []

  init(namespace: String?, context: PolicyContext, subject: CiliumRule.Subject) {
    self.namespace = namespace
    self.context = context
    subjectIsInit = subject.selector.requirements.contains {
      $0.key == LabelKey(source: LabelSource.reserved.rawValue, name: ReservedIdentity.`init`.name)
    }
  }

  static let staysDenied = "what it would allow stays denied"

  mutating func refuse(_ path: String, _ message: String) {
    issues.append(PolicyIssue(path: path, message: message))
  }

  /// What `path` names is not there. It may come, so this is no refusal.
  mutating func miss(_ path: String, _ message: String) {
    issues.append(PolicyIssue(path: path, message: message, isMissing: true))
  }

  mutating func rule(_ rule: TrafficRule) -> PolicyRule {
    let requires = (rule.requires ?? []).map(peer)
    func lowered(_ peers: PolicyPeers, _ terms: [PolicyTerm], refused: Bool = false) -> PolicyRule {
      PolicyRule(
        direction: Direction(rule.direction), peers: peers, areEndpoints: rule.endpoints?.isEmpty == false,
        requires: requires, action: rule.action, terms: terms,
        path: rule.path, isRefused: refused)
    }
    let before = issues.count
    // Written `{}`, or with requirements alone: it selects nothing, and only counts for default deny.
    if !rule.namesPeers, (rule.toPorts ?? []).isEmpty, rule.icmps == nil {
      return lowered(.selected([], cidrs: []), [])
    }
    let peers = self.peers(rule)
    var terms = self.terms(rule)
    if let authentication = rule.authentication, authentication.value["mode"]?.stringValue != "disabled" {
      refuse(authentication.path, "mutual authentication is not enforced yet; \(Lowering.staysDenied)")
      terms = []
    }
    let isRefused = issues[before...].contains { !$0.isMissing }
    if isRefused, case .selected(let selectors, _) = peers, selectors.isEmpty { terms = [] }
    return lowered(peers, terms, refused: isRefused && terms.isEmpty)
  }
}
