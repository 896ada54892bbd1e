import Addressing
import Datapath
import Identity
import NodeAPI
import Policy

extension Agent {
  /// Finds the ends and the port of what is asked. Throws ``TraceError`` for what there is not.
  func question(_ request: TraceRequest) async throws -> TraceQuestion {
    guard let transport = TransportProtocol(name: request.protocol) else {
      throw TraceError(description: "protocol \(request.protocol) is not known; TCP, UDP, SCTP, ICMP or ICMPv6")
    }
    let wantsIPv6 = IPAddress(request.from)?.isIPv6 ?? IPAddress(request.to)?.isIPv6 ?? (transport == .icmpv6)
    let source = try await end(request.from, wantsIPv6: wantsIPv6)
    let destination = try await end(request.to, wantsIPv6: wantsIPv6)
    var port = request.port
    if let name = request.portName { port = try await self.port(name, of: destination, request.to, transport) }
    return TraceQuestion(
      from: source, fromName: request.from, to: destination, toName: request.to, transport: transport, port: port,
      spoken: request.spoken)
  }

  /// The pod's container port, or the Service's port, of this name.
  private func port(
    _ name: String, of end: TraceEnd, _ endName: String, _ transport: TransportProtocol
  ) async throws -> UInt16 {
    if let pod = await endpoints.endpoint(address: end.address) {
      let wanted = name.lowercased()
      let port = pod.namedPorts.sorted().first { $0.name == wanted && $0.protocol == transport.rawValue }?.port
      if let port { return port }
    } else if let port = await services.port(named: name, at: end.address, transport) {
      return port
    }
    throw TraceError(description: "\(endName) has no \(transport) port named \(name)")
  }

  func end(_ address: IPAddress) async throws -> TraceEnd {
    TraceEnd(
      address: address, endpoint: await endpoints.endpoint(address: address)?.datapath,
      isNode: try datapath.ipcache.identity(of: address) == ReservedIdentity.host.identity)
  }

  private func end(_ text: String, wantsIPv6: Bool) async throws -> TraceEnd {
    if let address = IPAddress(text) { return try await end(address) }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let (namespace, name) = parts.count == 2 ? (parts[0], parts[1]) : ("default", text)
    let family = wantsIPv6 ? "IPv6" : "IPv4"
    guard let endpoint = await endpoints.endpoint(namespace: namespace, pod: name) else {
      let prefix = "reserved:"
      let isReserved = text.hasPrefix(prefix)
      let word = isReserved ? String(text.dropFirst(prefix.count)) : text
      if let reserved = ReservedIdentity.allCases.first(where: { $0.name == word }) {
        if let address = try await self.address(of: reserved, wantsIPv6: wantsIPv6) { return try await end(address) }
        throw TraceError(
          description: reserved == .host
            ? "this node has no \(family) address" : "no \(family) address is known to be \(text)")
      }
      throw TraceError(
        description: isReserved
          ? "no reserved identity is named \"\(word)\""
          : "no pod \(namespace)/\(name) on this node, and \"\(text)\" is no IP address")
    }
    guard let address = endpoint.attachment.addresses.first(where: { $0.isIPv6 == wantsIPv6 }) else {
      throw TraceError(description: "\(text) has no \(family) address")
    }
    return TraceEnd(address: address, endpoint: endpoint.datapath)
  }

  /// An address that has a reserved identity; of the world, one that no policy tells from the rest of it.
  private func address(of reserved: ReservedIdentity, wantsIPv6: Bool) async throws -> IPAddress? {
    switch reserved {
    case .host: return await policy.hostAddresses.first { $0.isIPv6 == wantsIPv6 }
    case .world, .worldIPv4, .worldIPv6:
      let asksIPv6 = reserved == .worldIPv6 || reserved == .world && wantsIPv6
      // Blocks that are set aside for documentation (RFC 5737, 3849), so that nobody is there.
      let candidates = asksIPv6 ? ["2001:db8::1"] : ["192.0.2.1", "198.51.100.1", "203.0.113.1"]
      let worlds = [ReservedIdentity.world, .worldIPv4, .worldIPv6].map(\.identity)
      return try candidates.compactMap { IPAddress($0) }.first { address in
        try datapath.ipcache.identity(of: address).map { worlds.contains($0) } ?? true
      }
    default:
      let nodes = await policy.nodeAddresses
      return nodes.filter { $0.value == reserved.identity && $0.key.isIPv6 == wantsIPv6 }.keys.min()
    }
  }
}
