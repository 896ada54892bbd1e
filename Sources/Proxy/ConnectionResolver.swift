/// What the datapath decided about a connection when it handed it to the proxy.
public struct ConnectionPolicy: Hashable, Sendable {
  /// The rule set its requests are judged by; 0 allows every request.
  public var proxyRules: UInt32
  /// The client's rule set when both ends have one, and `proxyRules` is the server's: a request passes that both let
  /// pass. Else 0.
  public var egressProxyRules: UInt32
  public var sourceIdentity: UInt32
  public var destinationIdentity: UInt32
  /// The service by which the client reached the server, by the kernel's number; 0: directly.
  public var service: UInt32
  /// The revision of the datapath's policy at which this was found.
  public var revision: UInt32
  /// Requests that `proxyRules` refuse are reported, and let pass.
  public var isAudit: Bool
  /// As `isAudit`, of `egressProxyRules`.
  public var isEgressAudit: Bool
  /// The number of the listener that routes the connection's requests; each is then judged with the backend that it gets,
  /// and the rule sets say nothing. 0: the connection goes to `server`.
  public var listener: UInt32

  public init(
    proxyRules: UInt32, egressProxyRules: UInt32 = 0, sourceIdentity: UInt32, destinationIdentity: UInt32,
    service: UInt32 = 0, revision: UInt32 = 0, isAudit: Bool = false, isEgressAudit: Bool = false, listener: UInt32 = 0
  ) {
    self.listener = listener
    self.proxyRules = proxyRules
    self.egressProxyRules = egressProxyRules
    self.sourceIdentity = sourceIdentity
    self.destinationIdentity = destinationIdentity
    self.service = service
    self.revision = revision
    self.isAudit = isAudit
    self.isEgressAudit = isEgressAudit
  }

  /// Of a connection whose requests are routed. Nobody has judged it, so its own rule set is one that no configuration names.
  static func routed(sourceIdentity: UInt32, service: UInt32, revision: UInt32, listener: UInt32) -> ConnectionPolicy {
    ConnectionPolicy(
      proxyRules: .max, sourceIdentity: sourceIdentity, destinationIdentity: 0, service: service, revision: revision,
      listener: listener)
  }

  /// Of a connection that the datapath knows nothing about: a rule set that no configuration names.
  static let denied = ConnectionPolicy(proxyRules: .max, sourceIdentity: 0, destinationIdentity: 0)
}

/// Finds the policy of an accepted connection. Called on the worker's own thread when a connection's first request
/// arrives and again when the rules have changed; it must not block.
public protocol ConnectionResolver: Sendable {
  /// - Parameters:
  ///   - transport: by which the client talks.
  ///   - client: the address the connection comes from.
  ///   - server: the address the client connected to.
  /// - Returns: nil when the connection is unknown; its requests are then denied.
  func resolve(client: SocketAddress, server: SocketAddress, transport: Transport) -> ConnectionPolicy?

  /// The revision of the datapath's policy in force. Read for every request: a policy of another revision is resolved
  /// again.
  var revision: UInt32 { get }
}

/// How octets travel between the two ends.
public enum Transport: Hashable, Sendable {
  case tcp, udp
}

extension ConnectionResolver {
  public var revision: UInt32 { 0 }
}
