import Addressing
import JSON
import KubernetesAPI

/// What a Service asks for, without what its endpoints and the other Services make of it.
struct ServiceSpec: Sendable {
  /// A frontend, and the field that asks for it.
  struct Wish: Hashable, Sendable {
    var kinds: FrontendKinds
    let port: PortID
    let path: String
    /// Whether the API server itself gave it, so that no other Service can have asked for it rightly.
    let isAllocated: Bool
  }

  struct Port: Hashable, Sendable {
    let id: PortID
    /// As in the EndpointSlices; empty where it has none.
    let name: String
    /// `appProtocol`: what is spoken there.
    let application: String?
  }

  /// The annotations that choose an algorithm; of two, the first.
  static let algorithmAnnotations = ["service.martlet.io/lb-algorithm", "service.cilium.io/lb-algorithm"]
  /// A Service with this label is balanced by someone else, whom it names.
  static let proxyNameLabel = "service.kubernetes.io/service-proxy-name"

  let name: ServiceName
  let type: Service.Kind
  /// RFC 3339, so that the older of two is the lesser.
  let created: String
  var ports: [Port] = []
  /// Every port of TCP, also where clients have no address to send to.
  let targets: [Port]
  var wishes: [FrontendKey: Wish] = [:]
  var problems: [ServiceProblem] = []
  var algorithm: BalancingAlgorithm
  let affinity: UInt32
  let isInternalLocal: Bool
  let isExternalLocal: Bool
  let publishesNotReady: Bool
  /// nil for everybody.
  let sourceRanges: [CIDR]?
  let healthCheckPort: UInt16?

  init(_ service: Service, _ settings: ServiceSettings) {
    name = ServiceName(service.metadata)
    type = service.type
    created = service.metadata.creationTimestamp ?? "~"
    algorithm = settings.algorithm
    affinity = service.affinityTimeout ?? 0
    isInternalLocal = service.internalTrafficPolicy == .local
    isExternalLocal = service.externalTrafficPolicy == .local
    publishesNotReady = service.publishNotReadyAddresses
    sourceRanges = service.loadBalancerSourceRanges.isEmpty ? nil : Set(service.loadBalancerSourceRanges).sorted()
    let hasHealthCheck = service.type == .loadBalancer && service.externalTrafficPolicy == .local
    healthCheckPort = hasHealthCheck ? service.healthCheckNodePort : nil
    targets = service.ports.filter { $0.protocol.rawValue == TransportProtocol.tcp.description }.map {
      Port(
        id: PortID(service: ServiceName(service.metadata), port: $0.port, protocol: .tcp),
        name: $0.name ?? "", application: $0.appProtocol)
    }
    // Without an address of the cluster there is nothing that clients could send to: headless, or not allocated yet.
    guard service.type != .externalName, !service.isHeadless, !service.clusterIPs.isEmpty,
      service.metadata.labels[Self.proxyNameLabel] == nil
    else { return }
    readAlgorithm(service)
    for (index, port) in service.ports.enumerated() { add(port, "spec.ports[\(index)]", service, settings) }
  }

  /// - Parameter port: a number or a name; nil for the only one.
  func target(_ port: String?) -> Port? {
    guard let port else { return targets.count == 1 ? targets[0] : nil }
    return targets.first { "\($0.id.port)" == port || $0.name == port }
  }

  private mutating func readAlgorithm(_ service: Service) {
    for annotation in Self.algorithmAnnotations {
      guard let word = service.metadata.annotations[annotation] else { continue }
      if let named = BalancingAlgorithm(rawValue: word) {
        algorithm = named
      } else {
        problems.append(
          ServiceProblem(
            path: "metadata.annotations[\(annotation)]", message: "\"\(word)\" is neither random nor maglev"))
      }
      return
    }
  }

  private mutating func add(_ port: ServicePort, _ path: String, _ service: Service, _ settings: ServiceSettings) {
    guard let transport = TransportProtocol(name: port.protocol.rawValue), transport == .tcp || transport == .udp else {
      problems.append(ServiceProblem(path: path + ".protocol", message: "\(port.protocol.rawValue) is not balanced"))
      return
    }
    let id = PortID(service: name, port: port.port, protocol: transport)
    ports.append(Port(id: id, name: port.name ?? "", application: port.appProtocol))
    func wish(_ address: IPAddress, _ number: UInt16, _ kinds: FrontendKinds, _ path: String, allocated: Bool = false) {
      let key = FrontendKey(address: address, port: number, protocol: transport)
      if wishes[key]?.port == id {
        wishes[key]?.kinds.formUnion(kinds)
      } else if wishes[key] == nil {
        wishes[key] = Wish(kinds: kinds, port: id, path: path, isAllocated: allocated)
      } else {
        problems.append(ServiceProblem(path: path, message: "\(key) is another port of this Service"))
      }
    }
    for address in service.clusterIPs { wish(address, port.port, .clusterIP, path + ".port", allocated: true) }
    for (index, address) in service.externalIPs.enumerated() {
      let path = "spec.externalIPs[\(index)]"
      if address.isLoopback || address.isLinkLocal || address.isUnspecified {
        let problem = ServiceProblem(path: path, message: "\(address) can not be reached from outside")
        if !problems.contains(problem) { problems.append(problem) }
      } else {
        wish(address, port.port, .externalIP, path)
      }
    }
    guard service.type == .nodePort || service.type == .loadBalancer else { return }
    if service.type == .loadBalancer, isOurs(service.loadBalancerClass, settings) {
      for (index, address) in service.loadBalancerIPs.enumerated() {
        wish(address, port.port, .loadBalancer, "status.loadBalancer.ingress[\(index)].ip")
      }
    }
    guard let number = port.nodePort else { return }
    guard settings.nodePorts?.contains(number) == true else {
      let range = settings.nodePorts.map { "outside of the node's range \($0.lowerBound)-\($0.upperBound)" }
      problems.append(
        ServiceProblem(path: path + ".nodePort", message: "\(number) is \(range ?? "not served: NodePorts are off")"))
      return
    }
    let families = Set(service.ipFamilies + service.clusterIPs.map(IPFamily.init(of:)))
    for family in families.sorted() { wish(family.unspecified, number, .nodePort, path + ".nodePort", allocated: true) }
  }

  private func isOurs(_ loadBalancerClass: String?, _ settings: ServiceSettings) -> Bool {
    loadBalancerClass.map(settings.loadBalancerClasses.contains) ?? true
  }

  /// Of two that ask for the same frontend, the one that has it: what the API server allocated cannot be taken away by an
  /// address that somebody wrote; then the older one.
  static func precedes(_ left: (ServiceSpec, Wish), _ right: (ServiceSpec, Wish)) -> Bool {
    if left.1.isAllocated != right.1.isAllocated { return left.1.isAllocated }
    return (left.0.created, left.0.name) < (right.0.created, right.0.name)
  }
}

extension IPFamily {
  /// 0.0.0.0 or ::.
  var unspecified: IPAddress { self == .ipv4 ? IPAddress(v4: 0) : IPAddress(high: 0, low: 0) }
}

extension IPAddress {
  var isUnspecified: Bool { self == IPAddress(v4: 0) || self == IPAddress(high: 0, low: 0) }
}
