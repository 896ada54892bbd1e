/// Says what the datapath would decide about a connection that nobody has opened: from a client to the backend that the
/// proxy chose for its request.
public protocol BackendJudge: Sendable {
  /// Called on a worker's own thread for each routed request; it must not block.
  ///
  /// - Parameters:
  ///   - client: where the client's connection comes from. One of this node's own programs has a loopback address.
  ///   - server: the backend.
  func judge(client: SocketAddress, server: SocketAddress) -> BackendVerdict
}

/// What the policies of both ends say about a client and a backend.
public enum BackendVerdict: Hashable, Sendable {
  /// With the rule sets that the request must pass.
  case allowed(ConnectionPolicy)
  /// By the rule of this number (0: no rule allows it), for Hubble's drop reason, at the client's side or the backend's.
  case denied(rule: UInt32, reason: UInt16, isEgress: Bool)
}
