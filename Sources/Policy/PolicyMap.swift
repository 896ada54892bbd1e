import Identity

/// Which way a connection is opened, seen from the subject. The numbers are those of `enum martlet_direction`.
public enum Direction: UInt8, CaseIterable, Comparable, Sendable {
  case ingress = 0
  case egress = 1

  public static func < (left: Direction, right: Direction) -> Bool { left.rawValue < right.rawValue }
}

/// What a policy entry decides. The numbers are those of `enum martlet_verdict`.
public enum Verdict: UInt8, Sendable {
  case allow = 1
  case deny = 2
  /// To the node's proxy, which judges each request by a rule set.
  case proxy = 3
}

/// `struct martlet_policy_key`: a prefix of (peer, direction, protocol, port). What lies behind the prefix is zero.
public struct PolicyKey: Hashable, Sendable {
  public let peer: NumericIdentity
  public let direction: Direction
  /// IPPROTO_*; 0 when the prefix ends before it.
  public let `protocol`: UInt8
  /// The first port of the block, in host byte order; ICMP and ICMPv6: the type.
  public let port: UInt16
  /// MARTLET_POLICY_PREFIX_PEER (40, any protocol), _PROTOCOL (48, any port) or up to _PORT (64, one port) bits.
  public let prefixLength: UInt8

  public static let peerPrefix: UInt8 = 40
  public static let protocolPrefix: UInt8 = 48
  public static let portPrefix: UInt8 = 64

  public init(peer: NumericIdentity, direction: Direction, protocol: UInt8 = 0, port: UInt16 = 0, prefixLength: UInt8) {
    self.peer = peer
    self.direction = direction
    self.protocol = `protocol`
    self.port = port
    self.prefixLength = prefixLength
  }

  // One word instead of five: maps of many thousand entries are built on every change.
  private var packed: UInt64 {
    UInt64(peer.rawValue) << 32 | UInt64(direction.rawValue) << 31 | UInt64(prefixLength & 127) << 24
      | UInt64(`protocol`) << 16 | UInt64(port)
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(packed) }
  public static func == (left: PolicyKey, right: PolicyKey) -> Bool { left.packed == right.packed }

  /// The ports of the block.
  public var ports: ClosedRange<UInt16> {
    let free = PolicyKey.portPrefix - max(prefixLength, PolicyKey.protocolPrefix)
    return port...(port | UInt16(truncatingIfNeeded: (1 << UInt32(free)) - 1))
  }
}

extension PolicyKey: Comparable {
  public static func < (left: PolicyKey, right: PolicyKey) -> Bool {
    (left.direction, left.peer, left.protocol, left.port, left.prefixLength)
      < (right.direction, right.peer, right.protocol, right.port, right.prefixLength)
  }
}

/// `struct martlet_policy_entry`.
public struct PolicyEntry: Hashable, Sendable {
  public let verdict: Verdict
  /// The author, in the rule table.
  public let rule: UInt32
  /// The id of the rule set when the verdict is `proxy`, else 0.
  public let proxyRules: UInt32

  public init(verdict: Verdict, rule: UInt32, proxyRules: UInt32 = 0) {
    self.verdict = verdict
    self.rule = rule
    self.proxyRules = proxyRules
  }
}

/// The policy of one subject identity, as the kernel's trie holds it.
///
/// The kernel asks for the peer, for its class (``PeerClass``) and for peer 0, each by longest prefix, and combines: a deny
/// of any of them wins, then an allow, then the rule set of the peer, then that of its class, then that of peer 0; with
/// nothing found it denies. So the entries of one peer are complete with respect to each other, and the entries of a peer
/// repeat of its class and of peer 0 only what is for the proxy.
public typealias PolicyMapState = [PolicyKey: PolicyEntry]
