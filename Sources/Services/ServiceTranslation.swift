import Addressing

/// What becomes of a client's new connection to a Service's address.
public struct ServiceTranslation: Hashable, Sendable {
  public enum Client: Hashable, Sendable {
    /// A pod of this node, or the node itself.
    case inside
    /// Anybody else, by its address.
    case outside(IPAddress)
  }

  public enum Outcome: Hashable, Sendable {
    /// One of these answers.
    case backends([BackendAddress])
    /// Nobody does; why, in words.
    case nobody(String)
  }

  public let service: ServiceName
  public let kinds: FrontendKinds
  public let outcome: Outcome

  init(_ service: CompiledService, _ frontend: Frontend, for client: Client) {
    self.service = service.name
    kinds = frontend.kinds
    outcome =
      switch client {
      case .inside: ServiceTranslation.outcome(service.balancers[frontend.cluster], nil)
      case .outside(let address):
        ServiceTranslation.outcome(frontend.external.flatMap { service.balancers[$0] }, address)
      }
  }

  private static func outcome(_ balancer: Balancer?, _ client: IPAddress?) -> Outcome {
    guard let balancer else { return .nobody("it has no backend") }
    if let client, let ranges = balancer.sourceRanges, !ranges.contains(where: { $0.contains(client) }) {
      return .nobody("its loadBalancerSourceRanges leave \(client) out")
    }
    if balancer.members.isEmpty {
      return .nobody(
        balancer.drops ? "it has no backend on this node, and its traffic policy is Local" : "it has no backend")
    }
    return .backends(balancer.members.map(\.backend))
  }
}

extension ServiceBook {
  /// What becomes of a connection to `key`; nil where no Service of this client's has that address and port.
  ///
  /// - Parameter isNode: the address is a node's, so NodePorts answer there.
  public func translation(of key: FrontendKey, isNode: Bool, for client: ServiceTranslation.Client)
    -> ServiceTranslation?
  {
    let unspecified = key.address.isIPv4 ? IPAddress(v4: 0) : IPAddress(high: 0, low: 0)
    let anywhere = FrontendKey(address: unspecified, port: key.port, protocol: key.protocol)
    for key in isNode ? [key, anywhere] : [key] {
      for name in claimants(key) {
        guard let service = compiled(name), let frontend = service.frontends.first(where: { $0.key == key }) else {
          continue
        }
        if client != .inside, frontend.external == nil { continue }
        return ServiceTranslation(service, frontend, for: client)
      }
    }
    return nil
  }
}
