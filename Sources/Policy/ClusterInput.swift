import Addressing
import KubernetesAPI

/// What the API tells of policies, of Services and of all that they refer to, in the order in which it told.
public enum ClusterInput: Sendable {
  case network(ReflectorDelta<NetworkPolicy>)
  case cilium(ReflectorDelta<CiliumNetworkPolicy>)
  case clusterwide(ReflectorDelta<CiliumClusterwideNetworkPolicy>)
  case cidrGroups(ReflectorDelta<CiliumCIDRGroup>)
  /// Of one Secret, which may or may not be there.
  case secret(PolicyContext.SecretName, ReflectorDelta<Secret>)
  case services(ReflectorDelta<Service>)
  case endpointSlices(ReflectorDelta<EndpointSlice>)
  case endpoints(ReflectorDelta<Endpoints>)
  case nodes(ReflectorDelta<Node>)
  case ciliumNodes(ReflectorDelta<CiliumNode>)
  /// All addresses of this node.
  case hostAddresses(Set<IPAddress>)
}

extension ClusterInput {
  var isPolicy: Bool {
    switch self {
    case .network, .cilium, .clusterwide: true
    case .cidrGroups, .secret, .services, .endpointSlices, .endpoints, .nodes, .ciliumNodes, .hostAddresses: false
    }
  }

  /// The kind of which this is the whole; nil for a single change.
  public var wholeKind: String? {
    func kind<Object>(_ delta: ReflectorDelta<Object>) -> String? {
      if case .replaced = delta { Object.resource.kind } else { nil }
    }
    return switch self {
    case .network(let delta): kind(delta)
    case .cilium(let delta): kind(delta)
    case .clusterwide(let delta): kind(delta)
    case .cidrGroups(let delta): kind(delta)
    case .services(let delta): kind(delta)
    case .endpointSlices(let delta): kind(delta)
    case .endpoints(let delta): kind(delta)
    case .nodes(let delta): kind(delta)
    case .ciliumNodes(let delta): kind(delta)
    case .secret, .hostAddresses: nil
    }
  }
}
