import Addressing
import Identity
import KubernetesAPI
import Labels

/// Peers that are not all named by selectors of pods.
struct LoweredPeers {
  var selectors: [IdentitySelector] = []
  var cidrs: [CIDR] = []
  var any = false

  mutating func add(_ cidr: CIDR, except: [CIDR] = []) {
    selectors.append(CIDRIdentities.selector(cidr, except: except))
    cidrs += [cidr] + except
  }
}

/// Peers that a rule names by reference: groups of blocks, Services, nodes.
extension Lowering {
  mutating func add(_ set: CIDRRule, to peers: inout LoweredPeers) {
    let except = set.except.map(\.cidr)
    let blocks: [CIDR]
    switch set.source {
    case .cidr(let cidr): blocks = [cidr]
    case .groupRef(let name):
      references.insert(.cidrGroups)
      if context.cidrGroups[name] == nil {
        miss("\(set.path).cidrGroupRef", "there is no CiliumCIDRGroup \"\(name)\"; it names no address")
      }
      blocks = context.cidrGroups[name]?.cidrs ?? []
    case .groupSelector(let selector):
      references.insert(.cidrGroups)
      let groups = context.cidrGroups.filter { selector.matches($0.value.labels) }
      if groups.isEmpty {
        miss("\(set.path).cidrGroupSelector", "it selects no CiliumCIDRGroup; it names no address")
      }
      blocks = groups.sorted { $0.key < $1.key }.flatMap(\.value.cidrs)
    }
    // Exceptions outside of a block must not make identities of blocks that nobody asks about.
    for block in blocks where !except.contains(where: { $0.covers(block) }) {
      peers.add(block, except: except.filter(block.covers))
    }
  }

  /// A Service stands for the pods that its selector finds, or else for the addresses of its endpoints.
  mutating func add(_ service: ServicePeer, to peers: inout LoweredPeers) {
    references.insert(.services)
    let found = context.services.filter { name, details in
      if let namespace = service.namespace, namespace != name.namespace { return false }
      return switch service.reference {
      case .name(let wanted): name.name == wanted
      case .selector(let selector): selector.matches(details.labels)
      }
    }
    if found.isEmpty { miss(service.path, "there is no such Service; it names nobody") }
    for (name, details) in found.sorted(by: { $0.key < $1.key }) {
      guard let selector = details.selector else {
        for address in details.addresses.sorted() { peers.add(CIDR(address)) }
        continue
      }
      let requirements = selector.sorted { $0.key < $1.key }.map {
        IdentityRequirement(SelectorKey(source: .kubernetes, key: $0.key), .in([$0.value]))
      }
      peers.selectors.append(
        IdentitySelector(requirements + [IdentityRequirement(WellKnownLabel.namespaceKey, .in([name.namespace]))]))
    }
  }

  /// Nodes of a kind, by their labels, whose keys need no source.
  func node(_ selector: EndpointSelector, _ kind: ReservedIdentity) -> IdentitySelector {
    let isNode = IdentityRequirement(SelectorKey(source: .reserved, key: kind.name), .exists)
    return IdentitySelector(
      selector.requirements.map { requirement in
        let source = LabelSource(rawValue: requirement.key.source) == .reserved ? LabelSource.reserved : .node
        return IdentityRequirement(SelectorKey(source: source, key: requirement.key.name), requirement.operation)
      } + [isNode])
  }
}

extension CIDR {
  /// Whether it contains all of a block of its own family: `::/0` is not about IPv4, whatever form the addresses have.
  fileprivate func covers(_ other: CIDR) -> Bool { isIPv4 == other.isIPv4 && contains(other) }
}

extension EndpointSelector {
  /// Matches an object's own labels, which have no source.
  fileprivate func matches(_ labels: LabelSet) -> Bool {
    requirements.allSatisfy { LabelRequirement(key: $0.key.name, operation: $0.operation).matches(labels) }
  }
}
