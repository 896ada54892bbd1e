import Addressing
import NodeMetrics

/// What an instance has of its network namespace: what it was told, or else what no other instance has there.
struct NamespaceShare: Hashable, Sendable {
  var api: ListenAddress
  var agentMetrics: MetricsAddress
  var proxyMetrics: MetricsAddress
  /// One block of each family.
  var podCIDRs: [CIDR]
  var serviceCIDRs: [CIDR]

  /// Where an instance finds itself.
  struct Surroundings {
    /// What other instances of the namespace have.
    var others: [NamespaceClaim] = []
    /// The node's addresses, and where it has routes to.
    var inUse: [CIDR] = []
    /// Whether a port of 127.0.0.1 can be listened on.
    var isPortFree: (UInt16) -> Bool = { _ in true }
  }

  /// - Parameter remembered: what an earlier run of the instance chose. Objects and pods of that run may have its addresses.
  init(_ configuration: HostConfiguration, remembered: RememberedShare, _ surroundings: Surroundings) throws(HostError)
  {
    let others = OtherShares(surroundings.others)
    try others.check(devices: configuration.devices)
    try others.check(configuration.loadBalancerCIDRs, "--load-balancer-cidr")

    func block(
      _ asked: [CIDR]?, _ earlier: [CIDR]?, _ defaults: [[CIDR]], _ option: String, _ inUse: [CIDR]
    ) throws(HostError) -> [CIDR] {
      if let asked {
        try others.check(asked, option)
        return asked
      }
      if let earlier, others.isFree(earlier) { return earlier }
      let free = defaults.first { blocks in
        others.isFree(blocks) && !blocks.contains { block in inUse.contains { block.contains($0) } }
      }
      guard let free else {
        throw HostError("none of the default blocks is free in this network namespace; give one with \(option)")
      }
      return free
    }
    podCIDRs = try block(
      configuration.podCIDRs, remembered.podCIDRs, HostDefaults.podCIDRs, "--pod-cidr", surroundings.inUse)
    serviceCIDRs = try block(
      configuration.serviceCIDRs, remembered.serviceCIDRs, HostDefaults.serviceCIDRs, "--service-cidr", [])

    // That of somebody else on the first of the ports is told, so that it is this instance's again when that one has gone.
    func port(_ earlier: UInt16?, _ defaults: [UInt16]) -> UInt16 {
      let free = defaults.filter { !others.ports.contains($0) }
      if let earlier, !others.ports.contains(earlier), earlier == defaults.first || surroundings.isPortFree(earlier) {
        return earlier
      }
      return free.first { $0 == defaults.first || surroundings.isPortFree($0) } ?? defaults[0]
    }
    api =
      configuration.apiAddress
      ?? ListenAddress("127.0.0.1", port: port(remembered.apiPort, HostDefaults.apiPorts))
    agentMetrics =
      configuration.agentMetrics ?? .loopback(port(remembered.agentMetricsPort, HostDefaults.agentMetricsPorts))
    proxyMetrics =
      configuration.proxyMetrics ?? .loopback(port(remembered.proxyMetricsPort, HostDefaults.proxyMetricsPorts))
  }

  /// What others are to keep off.
  func claims(_ configuration: HostConfiguration) -> [NamespaceClaim] {
    let instance = configuration.directory.instance
    func claims(_ kind: NamespaceClaim.Kind, _ values: [some CustomStringConvertible]) -> [NamespaceClaim] {
      values.map { NamespaceClaim(instance, kind, "\($0)") }
    }
    return claims(.state, [configuration.directory.path]) + claims(.pods, podCIDRs) + claims(.services, serviceCIDRs)
      + claims(.balancers, configuration.loadBalancerCIDRs) + claims(.device, configuration.devices)
      + claims(.port, [api.port, agentMetrics.port, proxyMetrics.port])
  }
}

extension NamespaceShare: CustomStringConvertible {
  var description: String {
    func list(_ blocks: [CIDR]) -> String { blocks.map(\.description).joined(separator: ",") }
    let host = api.address.contains(":") ? "[\(api.address)]" : api.address
    return "API at \(host):\(api.port), pods in \(list(podCIDRs)), Services in \(list(serviceCIDRs)), metrics at "
      + "\(agentMetrics) and \(proxyMetrics)"
  }
}

/// What other instances of a network namespace have.
private struct OtherShares {
  private let claims: [NamespaceClaim]
  private let blocks: [(block: CIDR, claim: NamespaceClaim)]
  let ports: Set<UInt16>

  init(_ claims: [NamespaceClaim]) {
    self.claims = claims
    let kinds: Set<NamespaceClaim.Kind> = [.pods, .services, .balancers]
    blocks = claims.filter { kinds.contains($0.kind) }.compactMap { claim in CIDR(claim.value).map { ($0, claim) } }
    ports = Set(claims.filter { $0.kind == .port }.compactMap { UInt16($0.value) })
  }

  func isFree(_ blocks: [CIDR]) -> Bool { blocks.allSatisfy { holder(of: $0) == nil } }

  private func holder(of block: CIDR) -> NamespaceClaim? {
    blocks.first { $0.block.contains(block) || block.contains($0.block) }?.claim
  }

  func check(_ blocks: [CIDR], _ option: String) throws(HostError) {
    for block in blocks {
      guard let claim = holder(of: block) else { continue }
      throw HostError(
        "\(option) \(block) overlaps \(claim.value), which \(claims.holder(claim.instance)) has for \(claim.kind.rawValue) in "
          + "the same network namespace; give another block")
    }
  }

  func check(devices: [String]) throws(HostError) {
    for device in devices {
      guard let claim = claims.first(where: { $0.kind == .device && $0.value == device }) else { continue }
      throw HostError(
        "--device: \(claims.holder(claim.instance)) has \"\(device)\" already, and its packets can be translated for one only"
      )
    }
  }
}
