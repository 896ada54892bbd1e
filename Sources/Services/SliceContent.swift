import Addressing
import KubernetesAPI

/// What an EndpointSlice says, without the document.
struct SliceContent: Sendable {
  let service: ServiceName
  let family: IPFamily
  let endpoints: [Backend]
  let ports: [BackendPort]
  let weight: Int
  let problem: ServiceProblem?

  /// nil for a slice of no Service, or of names.
  init?(_ slice: EndpointSlice) {
    guard let name = slice.serviceName, let family = IPFamily(rawValue: slice.addressType) else { return nil }
    service = ServiceName(namespace: slice.metadata.namespace ?? "default", name: name)
    self.family = family
    endpoints = slice.endpoints
    ports = slice.ports
    guard let text = slice.metadata.annotations[EndpointWeight.annotation] else {
      weight = EndpointWeight.standard
      problem = nil
      return
    }
    let number = Int(text).flatMap { (0...EndpointWeight.standard).contains($0) ? $0 : nil }
    weight = number ?? EndpointWeight.standard
    problem =
      number == nil
      ? ServiceProblem(
        path: "EndpointSlice \(slice.metadata.name): metadata.annotations[\(EndpointWeight.annotation)]",
        message: "\"\(text)\" is not a number from 0 to \(EndpointWeight.standard)") : nil
  }

  /// A slice that can not be read has no endpoints, which its Service says.
  init(unreadable key: ObjectKey, of service: String, _ message: String) {
    self.service = ServiceName(namespace: key.namespace ?? "default", name: service)
    family = .ipv4
    endpoints = []
    ports = []
    weight = EndpointWeight.standard
    problem = ServiceProblem(path: "EndpointSlice \(key.name)", message: "can not be read: \(message)")
  }

  /// Adds the endpoints of one port of the Service.
  func gather(
    _ port: ServiceSpec.Port, _ spec: ServiceSpec, _ node: NodeFacts,
    into found: inout [BackendAddress: ServiceEndpoint]
  ) {
    for candidate in ports where candidate.name == port.name {
      guard let number = candidate.port, candidate.protocol.rawValue == port.id.protocol.description else { continue }
      for endpoint in endpoints {
        // All of an endpoint's addresses mean the same thing; consumers use the first (discovery/v1, Endpoint).
        guard let address = endpoint.addresses.first, IPFamily(of: address) == family else { continue }
        let new = ServiceEndpoint(
          endpoint, BackendAddress(address: address, port: number), weight: weight,
          publishesNotReady: spec.publishesNotReady, node)
        if found[new.backend]?.isBetter(than: new) != true { found[new.backend] = new }
      }
    }
  }
}

extension ServiceEndpoint {
  fileprivate init(
    _ endpoint: Backend, _ backend: BackendAddress, weight: Int, publishesNotReady: Bool, _ node: NodeFacts
  ) {
    let state: State =
      if weight == 0 { .drained } else if endpoint.ready || publishesNotReady {
        .ready
      } else if endpoint.serving
        && endpoint.terminating
      { .terminating } else { .notReady }
    self.init(
      backend: backend, state: state,
      isLocal: endpoint.nodeName.map { $0 == node.name } ?? node.addresses.contains(backend.address),
      nodeName: endpoint.nodeName, zone: endpoint.zone, weight: weight, zoneHints: endpoint.zoneHints,
      nodeHints: endpoint.nodeHints)
  }
}
