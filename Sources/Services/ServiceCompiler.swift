import Addressing
import KubernetesAPI

/// One Service to what the node does for it: pure, and a function of its arguments alone.
struct ServiceCompiler {
  let spec: ServiceSpec
  let node: NodeFacts
  /// The wishes that another Service has precedence for, and which.
  let lost: [FrontendKey: ServiceName]
  /// Of two that are about the same port, the first counts.
  var redirects: [ServiceRedirect] = []

  func compile(_ slices: [SliceContent]) -> CompiledService {
    var endpoints: [PortID: [ServiceEndpoint]] = [:]
    for port in spec.ports {
      var found: [BackendAddress: ServiceEndpoint] = [:]
      for slice in slices { slice.gather(port, spec, node, into: &found) }
      endpoints[port.id] = found.values.sorted { $0.backend < $1.backend }
    }
    var balancers: [BalancerID: Balancer] = [:]
    var frontends: [Frontend] = []
    for (key, wish) in spec.wishes where lost[key] == nil {
      let family = IPFamily(of: key.address)
      func balancer(_ audience: BalancerID.Audience) -> BalancerID {
        let id = BalancerID(port: wish.port, family: family, audience: audience)
        if balancers[id] == nil { balancers[id] = self.balancer(id, endpoints[wish.port] ?? []) }
        return id
      }
      frontends.append(
        Frontend(
          key: key, kinds: wish.kinds, cluster: balancer(insideAudience(wish.kinds)),
          external: outsideAudience(wish.kinds).map(balancer)))
    }
    return CompiledService(
      name: spec.name, type: spec.type, frontends: frontends.sorted { $0.key < $1.key }, balancers: balancers,
      endpoints: endpoints, healthCheck: healthCheck(endpoints), problems: problems(slices))
  }

  /// Clients of the cluster get every backend at an address for the outside, whatever its policy: it is for sources that
  /// nodes could hide, and theirs are not hidden (KEP-2086, and kube-proxy).
  private func insideAudience(_ kinds: FrontendKinds) -> BalancerID.Audience {
    kinds.contains(.clusterIP) && spec.isInternalLocal ? .inside : .everyone
  }

  private func outsideAudience(_ kinds: FrontendKinds) -> BalancerID.Audience? {
    if kinds == .clusterIP { return nil }
    if kinds.contains(.loadBalancer), spec.sourceRanges != nil { return .loadBalancer }
    return spec.isExternalLocal ? .outside : .everyone
  }

  private func balancer(_ id: BalancerID, _ all: [ServiceEndpoint]) -> Balancer {
    let family = all.filter { IPFamily(of: $0.backend.address) == id.family }
    let isLocal =
      switch id.audience {
      case .everyone: false
      case .inside: true
      case .outside: true
      case .loadBalancer: spec.isExternalLocal
      }
    let local = isLocal ? EndpointSelection.local(family) : nil
    let chosen = local?.chosen ?? EndpointSelection.cluster(family, node)
    return Balancer(
      members: chosen.map(\.member), algorithm: spec.algorithm, affinity: spec.affinity,
      keepsSource: isLocal && id.audience != .inside, drops: local?.elsewhere ?? false,
      // Blocks of one family say by themselves that the other one may not come.
      sourceRanges: id.audience == .loadBalancer
        ? spec.sourceRanges?.filter { $0.isIPv4 == (id.family == .ipv4) } : nil,
      listener: listener(id.port))
  }

  private func listener(_ port: PortID) -> UInt32 {
    guard port.protocol == .tcp else { return 0 }
    return redirects.first { $0.covers(port.port) }?.listener ?? 0
  }

  private func healthCheck(_ endpoints: [PortID: [ServiceEndpoint]]) -> CompiledService.HealthCheck? {
    spec.healthCheckPort.map { port in
      let local = endpoints.values.joined().filter { $0.isLocal && $0.state == .ready }
      let addresses = Set(local.map(\.backend.address))
      // A pod has an address of each family, and counts once.
      let count = max(addresses.count(where: \.isIPv4), addresses.count { !$0.isIPv4 })
      return CompiledService.HealthCheck(port: port, localEndpoints: count)
    }
  }

  private func problems(_ slices: [SliceContent]) -> [ServiceProblem] {
    let conflicts = lost.sorted { $0.key < $1.key }.map { key, winner in
      ServiceProblem(path: spec.wishes[key]?.path ?? "", message: "\(key) is that of Service \(winner)")
    }
    return spec.problems + conflicts + slices.compactMap(\.problem)
  }
}
