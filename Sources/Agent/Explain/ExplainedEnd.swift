import Addressing
import Identity
import NodeAPI
import Policy

/// One end of a connection that is explained.
struct ExplainedEnd {
  let name: String
  let address: IPAddress
  let identity: NumericIdentity
  let labels: IdentityLabels
  /// DNS names that the address was answered for, sorted.
  var names: [String] = []

  var model: Explanation.End {
    Explanation.End(
      name: name, address: address.description, identity: identity.rawValue, labels: labels.labels.map(\.description),
      names: names)
  }
}

extension Explanation.Policy {
  init(_ reading: PolicyReading) {
    self.init(
      object: reading.object.description, description: reading.description, deniesByDefault: reading.deniesByDefault,
      rules: reading.terms.map(Explanation.Rule.init), problems: reading.issues.map(\.description))
  }
}

extension Explanation.Rule {
  init(_ term: PolicyReading.Term) {
    let peers: String =
      switch term.peers {
      case nil: "any peer"
      case .some(let selectors) where selectors.isEmpty: "no peer"
      case .some(let selectors): selectors.prefix(3).joined(separator: " or ") + (selectors.count > 3 ? " or …" : "")
      }
    let unmet = term.unmet.map(\.description).joined(separator: ", ")
    self.init(
      path: term.path, effect: term.effect.rawValue, matches: term.matches,
      reason: (term.matchesPeer ? "the peer is \(peers)" : "the peer is not \(unmet.isEmpty ? peers : unmet)")
        + (term.matchesPort ? ", the port is \(term.ports)" : ", the port is not \(term.ports)"))
  }
}
