/// A backend of this node, and a frontend of its Service in whose name it may answer a client that another node has sent on
/// to it (direct server return).
public struct DirectReturn: Hashable, Sendable {
  /// A NodePort's address is the unspecified one.
  public let frontend: FrontendKey
  public let backend: BackendAddress

  public init(frontend: FrontendKey, backend: BackendAddress) {
    self.frontend = frontend
    self.backend = backend
  }
}

extension CompiledService {
  /// Every endpoint of this node's at every frontend of its port and family. Whether it is ready, or meant for this zone, is
  /// for the node to judge that chose it.
  public var directReturns: Set<DirectReturn> {
    var found: Set<DirectReturn> = []
    for frontend in frontends {
      for endpoint in endpoints[frontend.cluster.port] ?? []
      where endpoint.isLocal && endpoint.backend.address.isIPv4 == frontend.key.address.isIPv4 {
        found.insert(DirectReturn(frontend: frontend.key, backend: endpoint.backend))
      }
    }
    return found
  }
}
