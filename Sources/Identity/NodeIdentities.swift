import Addressing
import Labels

/// A node of the cluster, as policies see it.
public struct NodeDescription: Hashable, Sendable {
  public let name: String
  public var labels: LabelSet
  public var addresses: Set<IPAddress>

  public init(name: String, labels: LabelSet = [:], addresses: Set<IPAddress> = []) {
    self.name = name
    self.labels = labels
    self.addresses = addresses
  }
}

/// Who the nodes of a cluster are, seen from one of them: this node is `host`, and the others have an identity for each
/// set of labels. A node's labels have the source `node`, so that no selector of pods sees them.
public struct NodeIdentities: Hashable, Sendable {
  /// Of the host and of all other nodes.
  public internal(set) var labels: [NumericIdentity: IdentityLabels] = [:]
  public internal(set) var addresses: [IPAddress: NumericIdentity] = [:]
  /// Addresses of the API server that are no node's.
  public internal(set) var apiServers: Set<IPAddress> = []

  public init() {}
}

/// Gives numbers to the sets of labels that other nodes have.
public struct NodeIdentityAllocator: Sendable {
  private var allocator = NumberAllocator<IdentityLabels>(range: NumericIdentity.nodeRange, order: .cycling)

  public init() {}

  /// - Parameters:
  ///   - host: this node.
  ///   - others: all others; addresses that the host has too are the host's.
  ///   - apiServers: where the API server is. A node that has such an address is the API server, too.
  public mutating func identities(
    host: NodeDescription, others: [NodeDescription], apiServers: Set<IPAddress>
  ) -> NodeIdentities {
    var result = NodeIdentities()
    result.labels[ReservedIdentity.host.identity] = NodeIdentityAllocator.labels(host, .host, apiServers)
    for node in others.sorted(by: { $0.name < $1.name }) where node.name != host.name {
      let labels = NodeIdentityAllocator.labels(node, .remoteNode, apiServers)
      // Out of numbers, a node is one without labels: fewer rules see it.
      let number = allocator.allocate(labels).map(NumericIdentity.init)
      if let number { result.labels[number] = labels }
      for address in node.addresses { result.addresses[address] = number ?? ReservedIdentity.remoteNode.identity }
    }
    for address in host.addresses { result.addresses[address] = ReservedIdentity.host.identity }
    let current = Set(result.labels.values)
    for labels in Array(allocator.numbers.keys) where !current.contains(labels) { allocator.release(labels) }
    result.apiServers = apiServers.filter { result.addresses[$0] == nil && !$0.isLoopback }
    return result
  }

  private static func labels(
    _ node: NodeDescription, _ kind: ReservedIdentity, _ apiServers: Set<IPAddress>
  ) -> IdentityLabels {
    var labels = [SecurityLabel(source: .reserved, key: kind.name)]
    if !node.addresses.isDisjoint(with: apiServers) {
      labels.append(SecurityLabel(source: .reserved, key: ReservedIdentity.kubeAPIServer.name))
    }
    labels += node.labels.map { SecurityLabel(source: .node, key: $0.key, value: $0.value) }
    return IdentityLabels(labels)
  }
}
