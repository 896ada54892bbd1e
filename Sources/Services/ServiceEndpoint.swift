import Addressing
import KubernetesAPI

/// One address and port behind a Service's port, and what its conditions make of it.
public struct ServiceEndpoint: Hashable, Sendable {
  public enum State: String, Hashable, Sendable, CaseIterable {
    /// Gets new connections, if policies and hints let it.
    case ready
    /// Keeps the connections it has, and gets new ones where nobody is ready.
    case terminating
    case notReady = "not-ready"
    /// Its weight is 0: it keeps the connections it has.
    case drained
  }

  public let backend: BackendAddress
  public let state: State
  public let isLocal: Bool
  public let nodeName: String?
  public let zone: String?
  /// 0-100.
  public let weight: Int
  let zoneHints: [String]
  let nodeHints: [String]

  public init(
    backend: BackendAddress, state: State = .ready, isLocal: Bool = false, nodeName: String? = nil,
    zone: String? = nil, weight: Int = EndpointWeight.standard, zoneHints: [String] = [], nodeHints: [String] = []
  ) {
    self.backend = backend
    self.state = state
    self.isLocal = isLocal
    self.nodeName = nodeName
    self.zone = zone
    self.weight = weight
    self.zoneHints = zoneHints
    self.nodeHints = nodeHints
  }

  var member: Balancer.Member { Balancer.Member(backend: backend, isLocal: isLocal, weight: weight) }

  /// Of two slices that both have it, as while an endpoint moves from one to the other, the better word counts.
  func isBetter(than other: ServiceEndpoint) -> Bool { rank < other.rank }

  private var rank: Int {
    switch state {
    case .ready: 0
    case .terminating: 1
    case .drained: 2
    case .notReady: 3
    }
  }
}

/// Which endpoints new connections go to. The rules are kube-proxy's (KEP-1669, KEP-2086, KEP-2433, KEP-4444): traffic
/// has the same destinations, whoever carries it.
enum EndpointSelection {
  /// For a policy of Cluster: the ready ones, those alone that hints give this node; without any, the terminating ones
  /// that still serve.
  static func cluster(_ endpoints: [ServiceEndpoint], _ node: NodeFacts) -> [ServiceEndpoint] {
    let ready = endpoints.filter { $0.state == .ready }
    guard !ready.isEmpty else { return endpoints.filter { $0.state == .terminating } }
    return hinted(ready, node)
  }

  /// For a policy of Local: as above, among this node's own and without hints. `elsewhere`: there are none here, but the
  /// cluster has some.
  static func local(_ endpoints: [ServiceEndpoint]) -> (chosen: [ServiceEndpoint], elsewhere: Bool) {
    let own = endpoints.filter(\.isLocal)
    let ready = own.filter { $0.state == .ready }
    let chosen = ready.isEmpty ? own.filter { $0.state == .terminating } : ready
    return (chosen, chosen.isEmpty && endpoints.contains { $0.state == .ready || $0.state == .terminating })
  }

  /// Hints count only where every endpoint has them and some are for this node: half a set of hints, as during a change,
  /// would send everybody to a few.
  private static func hinted(_ ready: [ServiceEndpoint], _ node: NodeFacts) -> [ServiceEndpoint] {
    if ready.allSatisfy({ !$0.nodeHints.isEmpty }) {
      let chosen = ready.filter { $0.nodeHints.contains(node.name) }
      if !chosen.isEmpty { return chosen }
    }
    if let zone = node.zone, ready.allSatisfy({ !$0.zoneHints.isEmpty }) {
      let chosen = ready.filter { $0.zoneHints.contains(zone) }
      if !chosen.isEmpty { return chosen }
    }
    return ready
  }
}
