import Addressing
import Identity
import KubernetesAPI

extension Lowering {
  /// The namespaced subject is always of the policy's own namespace, whatever its selector says.
  mutating func subject(_ selector: EndpointSelector) -> IdentitySelector {
    guard let namespace else { return IdentitySelector(selector.requirements.map(requirement)) }
    let own = IdentityRequirement(WellKnownLabel.namespaceKey, .in([namespace]))
    var requirements: [IdentityRequirement] = []
    for written in selector.requirements {
      let requirement = self.requirement(written)
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

  mutating func peers(_ rule: TrafficRule) -> PolicyPeers {
    guard rule.namesPeers else { return .any }
    var selectors = (rule.endpoints ?? []).map(peer)
    var cidrs: [CIDR] = []
    var any = false
    func add(_ cidr: CIDR, except: [CIDR] = []) {
      selectors.append(CIDRIdentities.selector(cidr, except: except))
      cidrs += [cidr] + except
    }
    for peer in rule.cidr ?? [] { add(peer.cidr) }
    for set in rule.cidrSet ?? [] {
      switch set.source {
      case .cidr(let cidr): add(cidr, except: set.except.map(\.cidr))
      case .groupRef, .groupSelector: refusePeers(set.path, "CIDR groups", rule, &any)
      }
    }
    for peer in rule.entities ?? [] {
      guard let entity = Entity(rawValue: peer.entity.rawValue) else {
        refusePeers(peer.path, "this entity", rule, &any)
        continue
      }
      if let expansion = entity.selectors(cluster: cluster) { selectors += expansion } else { any = true }
    }
    selectors += (rule.fqdns ?? []).map { NameIdentities.selector($0.pattern) }
    for (what, path) in unsupported(rule) { refusePeers(path, what, rule, &any) }
    return any ? .any : .selected(selectors, cidrs: cidrs)
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
    check("nodes", rule.nodes?.count ?? 0, "Nodes")
    check("services", rule.services?.value.arrayValue?.count ?? 0, "Services")
    check("groups of cloud providers", rule.groups?.value.arrayValue?.count ?? 0, "Groups")
    return found
  }

  /// A peer is of the policy's own namespace unless its selector says otherwise; in a clusterwide policy it is a pod of
  /// any namespace.
  private func peer(_ selector: EndpointSelector) -> IdentitySelector {
    let lowered = IdentitySelector(selector.requirements.map(requirement))
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

  private func requirement(_ requirement: EndpointSelector.Requirement) -> IdentityRequirement {
    IdentityRequirement(SelectorKey(requirement.key.description), requirement.operation)
  }
}
