import Identity
import Labels

/// Selectors of a rule that together mean a whole class of peers, so that nobody has to be named.
struct WidePeers: Sendable {
  let peers: PeerClass
  let selectors: [SelectorCache.ID]
  /// The names of clusters that a pod must be of one of; nil: of whichever.
  let clusters: Set<String>?

  /// - Parameter written: the selectors of a rule, each with its id.
  static func found(in written: [(selector: IdentitySelector, id: SelectorCache.ID)]) -> [WidePeers] {
    var found: [WidePeers] = []
    for (selector, id) in written {
      if let clusters = selector.clustersOfAllPods {
        found.append(WidePeers(peers: .pods, selectors: [id], clusters: clusters.isEmpty ? nil : clusters))
      } else if selector.isReserved(.remoteNode) {
        found.append(WidePeers(peers: .nodes, selectors: [id], clusters: nil))
      }
    }
    let worlds = [ReservedIdentity.world, .worldIPv4, .worldIPv6].compactMap { world in
      written.first { $0.selector.isReserved(world) }?.id
    }
    if worlds.count == 3 { found.append(WidePeers(peers: .world, selectors: worlds, clusters: nil)) }
    return found
  }
}

extension IdentitySelector {
  /// For a selector that asks only for what every pod has: the clusters it names, none for whichever. Else nil.
  fileprivate var clustersOfAllPods: Set<String>? {
    var clusters: Set<String>?
    for requirement in requirements {
      switch (requirement.key, requirement.operation) {
      case (WellKnownLabel.namespaceKey, .exists), (WellKnownLabel.clusterKey, .exists): break
      case (WellKnownLabel.clusterKey, .in(let names)): clusters = clusters?.intersection(names) ?? Set(names)
      default: return nil
      }
    }
    if requirements.isEmpty || clusters?.isEmpty == true { return nil }
    return clusters ?? []
  }

  fileprivate func isReserved(_ identity: ReservedIdentity) -> Bool {
    guard requirements.count == 1, let only = requirements.first,
      only.key == SelectorKey(source: .reserved, key: identity.name)
    else { return false }
    return switch only.operation {
    case .exists: true
    case .in(let values): values.contains("")
    case .notIn, .doesNotExist: false
    }
  }
}

/// Whether the numbers of pods are those of pods and of nobody else, as they should be: else nobody is meant by them.
struct PodCensus: Hashable, Sendable {
  /// Identities with a pod's number and no namespace or cluster, or the other way round.
  private var strangers: Set<NumericIdentity> = []
  /// How many identities of pods each cluster has.
  private var clusters: [String: Int] = [:]

  /// Takes over the labels of an identity. Returns whether other selectors may cover all pods now.
  mutating func replace(_ identity: NumericIdentity, _ old: IdentityLabels?, by new: IdentityLabels?) -> Bool {
    let before = (strangers.isEmpty, Set(clusters.keys))
    if identity.isCluster {
      if let cluster = old?.cluster, let count = clusters[cluster] { clusters[cluster] = count > 1 ? count - 1 : nil }
      if let cluster = new?.cluster { clusters[cluster, default: 0] += 1 }
    }
    if let new, identity.isCluster ? !new.isOfPod : new.isPartlyOfPod {
      strangers.insert(identity)
    } else {
      strangers.remove(identity)
    }
    return before != (strangers.isEmpty, Set(clusters.keys))
  }

  /// Every pod is of the same cluster, and nobody else has a pod's number.
  var isRegular: Bool { strangers.isEmpty && clusters.count < 2 }

  func covers(_ wide: WidePeers) -> Bool {
    guard wide.peers == .pods else { return true }
    return strangers.isEmpty && wide.clusters.map { $0.isSuperset(of: clusters.keys) } ?? true
  }
}

extension IdentityLabels {
  fileprivate var cluster: String? { value(WellKnownLabel.clusterKey) }
  fileprivate var isOfPod: Bool { value(WellKnownLabel.namespaceKey) != nil && cluster != nil }
  fileprivate var isPartlyOfPod: Bool { value(WellKnownLabel.namespaceKey) != nil || cluster != nil }

  private func value(_ key: SelectorKey) -> String? {
    labels.first { $0.source == key.source && $0.key == key.key }?.value
  }
}
