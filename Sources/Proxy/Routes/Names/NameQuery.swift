public import Addressing
public import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A name that clusters ask for, and how.
public struct NameQuery: Hashable, Sendable {
  public let name: String
  public let resolution: NameResolution
}

/// What names were resolved to.
typealias ResolvedNames = [NameQuery: [IPAddress]]

public enum NameAnswer: Hashable, Sendable {
  /// None where the name has none.
  case addresses([IPAddress])
  /// Nobody could say.
  case failure(String)
}

extension NameQuery {
  /// Asks the node's own resolver, with what its `/etc/hosts` and `/etc/resolv.conf` say. Blocks.
  public func resolve() -> NameAnswer {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_family =
      switch resolution.family {
      case .any: AF_UNSPEC
      case .ipv4: AF_INET
      case .ipv6: AF_INET6
      }
    var found: UnsafeMutablePointer<addrinfo>?
    let result = getaddrinfo(name, nil, &hints, &found)
    defer { if let found { freeaddrinfo(found) } }
    switch result {
    case 0: break
    case EAI_NONAME, NameQuery.noData: return .addresses([])
    default: return .failure(String(cString: gai_strerror(result)))
    }
    var addresses: [IPAddress] = []
    var next = found
    while let info = next?.pointee {
      next = info.ai_next
      guard let raw = info.ai_addr else { continue }
      var storage = sockaddr_storage()
      withUnsafeMutableBytes(of: &storage) { bytes in
        bytes.copyMemory(
          from: UnsafeRawBufferPointer(start: raw, count: min(Int(info.ai_addrlen), bytes.count)))
      }
      if let address = SocketAddress(storage)?.address, !addresses.contains(address) { addresses.append(address) }
    }
    return .addresses(addresses)
  }

  /// EAI_NODATA: the name is there, and has no address of the family.
  private static let noData: Int32 = -5
}

extension ClusterTarget {
  /// The names of its endpoints.
  var queries: [NameQuery] {
    guard case .cluster(let cluster) = self, cluster.discovery.resolvesNames else { return [] }
    return (cluster.loadAssignment?.endpoints ?? []).compactMap { endpoint in
      guard case .name(let name) = endpoint.host else { return nil }
      return NameQuery(name: name, resolution: cluster.resolution)
    }
  }
}

extension Cluster {
  /// Its endpoints as far as their names have been resolved; the name is what `auto_host_rewrite` makes of the authority.
  func resolvedSeats(_ names: ResolvedNames) -> [ClusterSpecification.Seat] {
    (loadAssignment?.endpoints ?? []).flatMap { endpoint -> [ClusterSpecification.Seat] in
      guard case .name(let name) = endpoint.host else {
        guard case .address(let address) = endpoint.host else { return [] }
        return [.init(endpoint, at: SocketAddress(address, port: endpoint.port), hostname: endpoint.hostname)]
      }
      var addresses = names[NameQuery(name: name, resolution: resolution)] ?? []
      // Clients keep their addresses, so each family has an endpoint of its own.
      if discovery == .logicalDNS {
        addresses = [addresses.first(where: \.isIPv4), addresses.first { !$0.isIPv4 }].compactMap { $0 }
      }
      let hostname = endpoint.hostname.isEmpty ? name : endpoint.hostname
      return addresses.map { .init(endpoint, at: SocketAddress($0, port: endpoint.port), hostname: hostname) }
    }
  }
}
