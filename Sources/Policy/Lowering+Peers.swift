import Addressing
import Identity
import KubernetesAPI

extension Lowering {
  /// The namespaced subject is always of the policy's own namespace, whatever its selector says. The node is the subject
  /// of policies about nodes only.
  mutating func subject(_ selector: EndpointSelector) -> IdentitySelector {
    guard let namespace else {
      let isHost = SelectorKey(source: .reserved, key: ReservedIdentity.host.name)
      return IdentitySelector(
        selector.requirements.map { IdentityRequirement($0) } + [IdentityRequirement(isHost, .doesNotExist)])
    }
    let own = IdentityRequirement(WellKnownLabel.namespaceKey, .in([namespace]))
    var requirements: [IdentityRequirement] = []
    for written in selector.requirements {
      let requirement = IdentityRequirement(written)
      if requirement.key == WellKnownLabel.namespaceKey, case .in = requirement.operation {
        if requirement != own {
          refuse(written.path, "a namespaced policy is about its own namespace \"\(namespace)\"; the label is ignored")
        }
      } else {
        requirements.append(requirement)
      }
    }
    return IdentitySelector(requirements + [own])
  }

  /// This node, when its labels match.
  func host(_ selector: EndpointSelector) -> IdentitySelector { node(selector, .host) }

  mutating func peers(_ rule: TrafficRule) -> PolicyPeers {
    guard rule.namesPeers else { return .any }
    var peers = LoweredPeers()
    peers.selectors = (rule.endpoints ?? []).map(peer)
    for peer in rule.cidr ?? [] { peers.add(peer.cidr) }
    for set in rule.cidrSet ?? [] { add(set, to: &peers) }
    for peer in rule.entities ?? [] {
      guard let entity = Entity(rawValue: peer.entity.rawValue) else {
        refusePeers(peer.path, "this entity", rule, &peers.any)
        continue
      }
      if let expansion = entity.selectors(cluster: context.cluster) {
        peers.selectors += expansion
      } else {
        peers.any = true
      }
    }
    for selector in rule.nodes ?? [] {
      peers.selectors += [node(selector, .host), node(selector, .remoteNode)]
    }
    for service in rule.services ?? [] { add(service, to: &peers) }
    peers.selectors += (rule.fqdns ?? []).map { NameIdentities.selector($0.pattern) }
    for (what, path) in unsupported(rule) { refusePeers(path, what, rule, &peers.any) }
    return peers.any ? .any : .selected(peers.selectors, cidrs: peers.cidrs)
  }

  /// An allow rule goes without the peers that it can not see; a deny rule takes them to be anyone.
  private mutating func refusePeers(_ path: String, _ what: String, _ rule: TrafficRule, _ any: inout Bool) {
    switch rule.action {
    case .allow: refuse(path, "\(what) can not be enforced as peers yet; \(Lowering.staysDenied)")
    case .deny:
      refuse(path, "\(what) can not be enforced as peers yet; the rule denies every peer instead")
      any = true
    }
  }

  private func unsupported(_ rule: TrafficRule) -> [(what: String, path: String)] {
    let prefix = rule.direction == .ingress ? "from" : "to"
    var found: [(what: String, path: String)] = []
    func check(_ what: String, _ count: Int, _ field: String) {
      if count > 0 { found.append((what, "\(rule.path).\(prefix)\(field)")) }
    }
    check("groups of cloud providers", rule.groups?.value.arrayValue?.count ?? 0, "Groups")
    return found
  }

  /// A peer is of the policy's own namespace unless its selector says otherwise; in a clusterwide policy it is a pod of
  /// any namespace.
  func peer(_ selector: EndpointSelector) -> IdentitySelector {
    let lowered = IdentitySelector(selector.requirements.map { IdentityRequirement($0) })
    let keys = lowered.requirements.map(\.key)
    if keys.contains(where: { $0.source == .reserved })
      || keys.contains(where: { $0.isKubernetes(WellKnownLabel.namespace) })
    {
      return lowered
    }
    guard let namespace else {
      return subjectIsInit ? lowered : lowered.adding(IdentityRequirement(WellKnownLabel.namespaceKey, .exists))
    }
    let namesNamespaceLabels = keys.contains {
      $0.source != .cidr && $0.key.hasPrefix(WellKnownLabel.namespaceLabelPrefix)
    }
    return namesNamespaceLabels
      ? lowered : lowered.adding(IdentityRequirement(WellKnownLabel.namespaceKey, .in([namespace])))
  }
}
