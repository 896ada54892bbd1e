import CMartletABI

/// Says what the datapath would decide about a connection that nobody has opened: from a client to the backend that the
/// proxy chose for its request.
///
/// All are called on a worker's own thread for routed requests; they must not block.
public protocol BackendJudge: Sendable {
  /// Who is behind both addresses at the moment: what `judge` says holds for as long as this and the policy's revision stay.
  /// nil when nobody can say; nothing is let through then.
  ///
  /// - Parameters:
  ///   - client: where the client's connection comes from. One of this node's own programs has a loopback address.
  ///   - server: the backend.
  func parties(client: SocketAddress, server: SocketAddress) -> BackendParties?

  func judge(client: SocketAddress, server: SocketAddress) -> BackendVerdict

  /// Another one when `parties` may say something else of anybody; nil where nobody counts, and `parties` is to be asked for
  /// each request.
  var addressRevision: AddressRevision? { get }
}

/// How often addresses have changed hands.
public struct AddressRevision: Hashable, Sendable {
  /// By the agent's count (`martlet_config.address_revision`), by the names that this proxy has given identities, and by new
  /// maps in place of others.
  var agent: UInt32
  var names: UInt32
  var maps: UInt32
}

/// Who is behind the addresses of a client and a backend.
public struct BackendParties: Hashable, Sendable {
  public struct Party: Hashable, Sendable {
    public var identity: UInt32
    /// Of a pod of this node: its number, its device and `enum martlet_endpoint_flags`; else 0.
    public var endpoint: UInt32
    public var device: UInt32
    public var flags: UInt32

    public init(identity: UInt32, endpoint: UInt32 = 0, device: UInt32 = 0, flags: UInt32 = 0) {
      self.identity = identity
      self.endpoint = endpoint
      self.device = device
      self.flags = flags
    }
  }

  public var client: Party
  public var server: Party
  /// Differs where the answers of before mean nothing any more.
  public var epoch: UInt32

  public init(client: Party, server: Party, epoch: UInt32 = 0) {
    self.client = client
    self.server = server
    self.epoch = epoch
  }

  /// Whether neither is a pod of this node: what a backend sends to the client's own address does not come by here, so that
  /// it must be asked from the node's.
  var meetAtNode: Bool { client.endpoint == 0 && server.endpoint == 0 }
}

/// What the policies of both ends say about a client and a backend.
public enum BackendVerdict: Hashable, Sendable {
  /// With the rule sets that the request must pass.
  case allowed(ConnectionPolicy)
  /// By the rule of this number (0: no rule allows it), for Hubble's drop reason, at the client's side or the backend's.
  case denied(rule: UInt32, reason: UInt16, isEgress: Bool)

  /// Nobody is behind the address but others.
  static let unreachable = BackendVerdict.denied(
    rule: 0, reason: UInt16(MARTLET_DROP_STALE_OR_UNROUTABLE_IP.rawValue), isEgress: true)

  /// Where nothing could be asked, nothing is let through.
  static let unknown = BackendVerdict.denied(
    rule: 0, reason: UInt16(MARTLET_DROP_NO_POLICY_CONFIGURATION.rawValue), isEgress: true)
}
