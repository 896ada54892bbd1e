import Identity
import Policy

/// What one port of one rule says: the unit that is compared with others.
struct Statement {
  enum Grant {
    case deny, allow
    case http([HTTPTerm])
    case dns([NameTerm])
    case tls([NameTerm])

    /// The first of the rules that judge what is said on the port; nil when anything may be.
    var firstRulePath: String? {
      switch self {
      case .deny, .allow: nil
      case .http(let terms): terms.first?.path
      case .dns(let terms), .tls(let terms): terms.first?.path
      }
    }
  }

  /// The object's index.
  let object: Int
  let subject: IdentitySelector
  let direction: Direction
  let peers: PolicyPeers
  let `protocol`: UInt8?
  let ports: PolicyTerm.Ports
  let grant: Grant
  let path: String

  /// Whether this is about nothing that `other` is not about too.
  func isWithin(_ other: Statement) -> Bool {
    direction == other.direction && (other.protocol == nil || other.protocol == self.protocol)
      && Implication.holds(ports, other.ports) && Implication.holds(peers, other.peers)
      && Implication.holds(subject, other.subject)
  }

  /// The statements of a policy, apart from those that stand in for what is not enforced as written.
  static func all(_ document: PolicyDocument, object: Int) -> [Statement] {
    document.sections.flatMap { section in
      section.rules.flatMap { rule -> [Statement] in
        let standsIn = rule.isRefused || document.issues.contains { $0.path.hasPrefix(rule.path + ".") }
        if standsIn { return [] }
        return rule.terms.map { term in
          Statement(
            object: object, subject: section.subject, direction: rule.direction, peers: rule.peers,
            protocol: term.protocol, ports: term.ports, grant: grant(term.effect), path: term.path)
        }
      }
    }
  }

  private static func grant(_ effect: PolicyTerm.Effect) -> Grant {
    switch effect {
    case .allow: .allow
    case .deny: .deny
    case .http(let terms): .http(terms)
    case .dns(let terms): .dns(terms)
    case .tls(let terms): .tls(terms)
    }
  }
}
