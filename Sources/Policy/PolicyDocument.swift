import Addressing
import Identity
import KubernetesAPI
import ProxyRules

/// A policy object, lowered to what the compiler needs: selectors of identities, protocols and ports, each with the
/// path of the field that it comes from. What can not be enforced has become an issue, and whatever keeps the traffic in
/// question closed.
public struct PolicyDocument: Hashable, Sendable {
  public let key: ObjectKey
  public let uid: String
  public let sections: [PolicySection]
  public let issues: [PolicyIssue]
  /// The kinds of objects on which it depends besides.
  public let references: Set<PolicyContext.Reference>
  public let mode: PolicyMode

  public init(
    key: ObjectKey, uid: String = "", sections: [PolicySection], issues: [PolicyIssue] = [],
    references: Set<PolicyContext.Reference> = [], mode: PolicyMode = .enforce
  ) {
    self.mode = mode
    self.key = key
    self.uid = uid
    self.sections = sections
    self.issues = issues
    self.references = references
  }
}

/// `spec`, or one of `specs`.
public struct PolicySection: Hashable, Sendable {
  /// Whose traffic it is about.
  public let subject: IdentitySelector
  /// The directions in which the subject is denied what no rule allows.
  public let defaultDeny: Set<Direction>
  public let rules: [PolicyRule]
  public let description: String?
  /// `log.value`: what flows that it decides carry.
  public let log: String?
  public let path: String

  public init(
    subject: IdentitySelector, defaultDeny: Set<Direction>, rules: [PolicyRule], description: String? = nil,
    log: String? = nil, path: String = "spec"
  ) {
    self.subject = subject
    self.log = log
    self.defaultDeny = defaultDeny
    self.rules = rules
    self.description = description
    self.path = path
  }
}

/// One element of `ingress`, `ingressDeny`, `egress` or `egressDeny`: peers and what is said of them.
public struct PolicyRule: Hashable, Sendable {
  public let direction: Direction
  public let peers: PolicyPeers
  /// The peers are named by `fromEndpoints` or `toEndpoints`, which `fromRequires` and `toRequires` narrow.
  public let areEndpoints: Bool
  /// `fromRequires` / `toRequires`: each must hold for the endpoints that any rule about the same subject names in this
  /// direction, allow and deny rules apart.
  public let requires: [IdentitySelector]
  public let action: TrafficRule.Action
  public let terms: [PolicyTerm]
  public let path: String
  /// Nothing of it is enforced as it is written; what stands here instead keeps traffic closed.
  public let isRefused: Bool

  public init(
    direction: Direction, peers: PolicyPeers, areEndpoints: Bool = false, requires: [IdentitySelector] = [],
    action: TrafficRule.Action = .allow,
    terms: [PolicyTerm], path: String, isRefused: Bool = false
  ) {
    self.direction = direction
    self.peers = peers
    self.areEndpoints = areEndpoints
    self.requires = requires
    self.action = action
    self.terms = terms
    self.path = path
    self.isRefused = isRefused
  }
}

/// The other ends of a rule.
public enum PolicyPeers: Hashable, Sendable {
  /// Every peer, known or not.
  case any
  /// The union of the selectors. `cidrs` are the blocks of addresses that must have identities for them to see.
  case selected([IdentitySelector], cidrs: [CIDR])
}

/// A verdict on some protocol and ports.
public struct PolicyTerm: Hashable, Sendable {
  public enum Ports: Hashable, Sendable {
    /// 0...65535 for all. For ICMP and ICMPv6 the type.
    case range(ClosedRange<UInt16>)
    /// A container port by its name: of the subject on ingress, of the peer on egress.
    case named(String)

    public static let all = Ports.range(0...UInt16.max)
  }

  public enum Effect: Hashable, Sendable {
    case allow
    case deny
    /// Requests that one of the rules matches.
    case http([HTTPTerm])
    /// Queries for names that one of the patterns matches.
    case dns([NameTerm])
    /// TLS connections to servers whose names one of the patterns matches.
    case tls([NameTerm])
  }

  /// IPPROTO_*; nil for every protocol, with all ports.
  public let `protocol`: UInt8?
  public let ports: Ports
  public let effect: Effect
  public let path: String

  public init(protocol: UInt8?, ports: Ports, effect: Effect, path: String) {
    self.protocol = `protocol`
    self.ports = ports
    self.effect = effect
    self.path = path
  }
}

/// One element of `rules.http`. The id of `rule` is given when the document is compiled.
public struct HTTPTerm: Hashable, Sendable {
  public let rule: HTTPRule
  public let path: String

  public init(rule: HTTPRule, path: String) {
    self.rule = rule
    self.path = path
  }
}

/// One element of `rules.dns` or of `serverNames`.
public struct NameTerm: Hashable, Sendable {
  public let pattern: DNSNamePattern
  public let path: String

  public init(pattern: DNSNamePattern, path: String) {
    self.pattern = pattern
    self.path = path
  }
}

/// Why a part of a policy object is not enforced as it is written, and what happens instead.
public struct PolicyIssue: Hashable, Sendable, CustomStringConvertible {
  /// `spec.egress[0].toFQDNs`.
  public let path: String
  public let message: String
  /// It is enforced, but names something that is not there: it selects nothing until then.
  public let isMissing: Bool

  public init(path: String, message: String, isMissing: Bool = false) {
    self.path = path
    self.message = message
    self.isMissing = isMissing
  }

  public var description: String { "\(path): \(message)" }
}

/// What became of a policy object.
public struct PolicyObjectStatus: Hashable, Sendable {
  public enum State: String, Sendable {
    /// All of it is enforced.
    case accepted
    /// Some of it; the issues name the rest.
    case partial
    /// None of its rules; what it selects is denied all the same.
    case rejected
  }

  public let state: State
  public let issues: [PolicyIssue]
  /// The object asks to be watched only: see ``PolicyMode``.
  public let isAudited: Bool
  /// The pods that it selects here and that are in audit mode themselves: `default/web`.
  public var watchedOn: [String] = []

  public init(state: State, issues: [PolicyIssue] = [], isAudited: Bool = false) {
    self.state = state
    self.issues = issues
    self.isAudited = isAudited
  }

  init(_ document: PolicyDocument) {
    let enforced = document.sections.contains { $0.rules.contains { !$0.isRefused } }
    self.init(
      state: document.issues.isEmpty
        ? .accepted : enforced || document.issues.allSatisfy(\.isMissing) ? .partial : .rejected,
      issues: document.issues, isAudited: document.mode == .audit)
  }

  /// With more that is not as it is written.
  public func adding(_ more: [PolicyIssue]) -> PolicyObjectStatus {
    var status = PolicyObjectStatus(
      state: state == .rejected ? .rejected : .partial, issues: issues + more, isAudited: isAudited)
    status.watchedOn = watchedOn
    return status
  }
}
