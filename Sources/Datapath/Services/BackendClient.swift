import Services

/// A socket's word for a backend that the maps need not have any more: one that gets no new connections has no entry.
struct BackendClient: Hashable, Sendable {
  let service: UInt32
  let backend: UInt32
  let address: BackendAddress
}

extension BackendClient {
  init(_ socket: SocketTermination.BalancedSocket) {
    self.init(
      service: socket.service, backend: socket.backend,
      address: BackendAddress(address: socket.socket.destination, port: socket.socket.destinationPort))
  }
}

extension ServiceReconciler {
  /// Finds the numbers that only sockets still know, so that their programs are told when the endpoint goes. Returns those
  /// whose endpoints have gone already. To be called after ``adopt(_:)``.
  mutating func adopt(_ clients: Set<BackendClient>, _ services: [CompiledService]) -> Set<UInt32> {
    guard !clients.isEmpty else { return [] }
    var known: Set<UInt32> = []
    var ports: [UInt32: PortID] = [:]
    for record in records.values {
      for backends in record.backends.values { known.formUnion(backends.values) }
      for (id, number) in record.balancers { ports[number.number] = id.port }
    }
    let endpoints = services.reduce(into: [:]) { found, service in found.merge(service.endpoints) { $1 } }
    var gone: Set<UInt32> = []
    for client in clients.sorted(by: { $0.backend < $1.backend }) where !known.contains(client.backend) {
      guard let port = ports[client.service],
        endpoints[port]?.contains(where: { $0.backend == client.address }) == true
      else {
        gone.insert(client.backend)
        continue
      }
      guard records[port.service]?.backends[port]?[client.address] == nil else { continue }
      records[port.service, default: ServiceRecord()].backends[port, default: [:]][client.address] = client.backend
      known.insert(client.backend)
    }
    return gone
  }
}
