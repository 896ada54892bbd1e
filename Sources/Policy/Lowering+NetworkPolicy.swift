import Addressing
import Identity
import KubernetesAPI

extension PolicyDocument {
  /// Kubernetes' own NetworkPolicy: allow rules only, in union with all others about the same pod. A block of addresses
  /// never means pods or nodes, as in other implementations by identity.
  public init(_ policy: NetworkPolicy) {
    let namespace = policy.metadata.namespace ?? "default"
    var rules: [PolicyRule] = []
    let (mode, mistakes) = PolicyMode.read(policy.metadata.annotations)
    var issues = mistakes
    for (direction, kind, written) in [
      (Direction.ingress, "Ingress", policy.ingress), (.egress, "Egress", policy.egress),
    ] {
      guard policy.policyTypes.contains(direction.kubernetes) else {
        for rule in written {
          issues.append(PolicyIssue(path: rule.path, message: "no effect, because policyTypes does not name \(kind)"))
        }
        continue
      }
      rules += written.map { rule in
        PolicyRule(
          direction: direction, peers: NetworkPolicyLowering.peers(rule, namespace),
          terms: NetworkPolicyLowering.terms(rule), path: rule.path)
      }
      // So that a policy which only closes a direction has something that is enforced.
      if written.isEmpty {
        rules.append(PolicyRule(direction: direction, peers: .selected([], cidrs: []), terms: [], path: "spec"))
      }
    }
    self.init(
      key: policy.key, uid: policy.metadata.uid,
      sections: [
        PolicySection(
          subject: IdentitySelector(
            policy.podSelector.requirements.map { IdentityRequirement($0) }
              + [IdentityRequirement(WellKnownLabel.namespaceKey, .in([namespace]))]),
          defaultDeny: Set(policy.policyTypes.map(Direction.init)), rules: rules)
      ], issues: issues, mode: mode)
  }
}

private enum NetworkPolicyLowering {
  static func peers(_ rule: NetworkPolicyRule, _ namespace: String) -> PolicyPeers {
    if rule.peers.isEmpty { return .any }
    var peers = LoweredPeers()
    for peer in rule.peers {
      switch peer.peer {
      case .block(let cidr, let except): peers.add(cidr, except: except.map(\.cidr))
      case .pods(let pods, let namespaces):
        peers.selectors.append(
          IdentitySelector(
            (pods?.requirements ?? []).map { IdentityRequirement($0) }
              + NetworkPolicyLowering.requirements(namespaces, namespace)))
      }
    }
    return .selected(peers.selectors, cidrs: peers.cidrs)
  }

  /// Only pods have a namespace, so to have one is asked for even where every namespace will do.
  private static func requirements(_ namespaces: EndpointSelector?, _ own: String) -> [IdentityRequirement] {
    guard let namespaces else { return [IdentityRequirement(WellKnownLabel.namespaceKey, .in([own]))] }
    return namespaces.requirements.map { requirement in
      IdentityRequirement(
        SelectorKey(source: .kubernetes, key: WellKnownLabel.namespaceLabelPrefix + requirement.key.name),
        requirement.operation)
    } + [IdentityRequirement(WellKnownLabel.namespaceKey, .exists)]
  }

  static func terms(_ rule: NetworkPolicyRule) -> [PolicyTerm] {
    if rule.ports.isEmpty { return [PolicyTerm(protocol: nil, ports: .all, effect: .allow, path: rule.path)] }
    return rule.ports.flatMap { port in
      let ports: PolicyTerm.Ports =
        switch port.port {
        case nil: .all
        case .name(let name)?: .named(name.lowercased())
        case .number(let number)?: .range(number...max(number, port.endPort ?? number))
        }
      return port.protocol.numbers.map {
        PolicyTerm(protocol: $0, ports: ports, effect: .allow, path: port.path)
      }
    }
  }
}

extension IdentityRequirement {
  init(_ requirement: EndpointSelector.Requirement) {
    self.init(SelectorKey(requirement.key.description), requirement.operation)
  }
}
