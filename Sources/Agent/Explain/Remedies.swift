import Addressing
import Identity
import NodeAPI
import Policy

/// What would have to change for a connection or a request to be allowed: sentences and YAML, from what the policies say
/// of it. Nothing here decides anything.
struct Remedies {
  /// Whose policies are in the way.
  let subject: ExplainedEnd
  let peer: ExplainedEnd
  let direction: Direction
  let ipProtocol: UInt8
  let port: UInt16

  /// For a connection that a deny rule forbids, or that no rule allows.
  func connection(_ readings: [PolicyReading]) -> [Explanation.Remedy] {
    let denying = readings.flatMap { reading in
      reading.terms.filter { $0.effect == .deny && $0.matches }.map { (reading.object, $0.path) }
    }
    // What can not be read says nothing of what its author wants: everything else about it would be a guess.
    let rejected = readings.filter(\.isRejected)
    let repairs = rejected.flatMap { reading in
      reading.issues.filter { !$0.isMissing }.map {
        Explanation.Remedy(text: "repair \($0.path) of \(reading.object): \($0.message)")
      }
    }
    if !denying.isEmpty {
      let broken = Set(rejected.map(\.object))
      return repairs
        + denying.filter { !broken.contains($0.0) }.map {
          .init(text: "narrow or remove \($0.1) of \($0.0): a deny rule wins over every rule that allows")
        }
    }
    var remedies = repairs
    for reading in readings {
      for term in reading.terms where term.effect != .deny {
        if term.matchesPort, !term.matchesPeer, let pattern = named(term.unmet) {
          remedies.append(
            .init(
              text: "\(term.path) of \(reading.object) allows what \(pattern) was answered with, by way of rules.dns: "
                + "\(peer.address) was answered for \(peer.names.isEmpty ? "no name" : peer.names.joined(separator: ", "))"
            ))
        } else if term.matchesPort, !term.matchesPeer, let labels = wanted(term.unmet) {
          remedies.append(.init(text: "give \(peer.name) \(labels), which \(term.path) of \(reading.object) asks for"))
        } else if term.matchesPeer, !term.matchesPort {
          remedies.append(
            .init(
              text: "\(term.path) of \(reading.object) allows \(peer.name) \(term.ports): use that, or add the port"))
        }
      }
    }
    let target =
      readings.first { $0.deniesByDefault && !$0.isRejected }.map {
        "add this to \($0.object), or to another policy that selects"
      }
      ?? "add this to a policy that selects"
    remedies.append(.init(text: "\(target) \(subject.name)", yaml: rule))
    return remedies
  }

  /// For a request that no rule of the set allows.
  static func request(method: String, path: String, in object: String?, at rulePath: String?) -> Explanation.Remedy {
    let place = rulePath.flatMap { path in path.range(of: ".http[").map { String(path[..<$0.lowerBound]) + ".http" } }
    return Explanation.Remedy(
      text: "add this to \(place ?? "rules.http")" + (object.map { " of \($0)" } ?? ""),
      yaml: "- method: \(method)\n  path: '\(escaped(path))'\n")
  }

  /// For a query that no rule of the set allows.
  static func query(_ name: String, in object: String?, at rulePath: String?) -> Explanation.Remedy {
    let place = rulePath.flatMap { path in path.range(of: ".dns[").map { String(path[..<$0.lowerBound]) + ".dns" } }
    return Explanation.Remedy(
      text: "add this to \(place ?? "rules.dns")" + (object.map { " of \($0)" } ?? ""),
      yaml: "- matchName: \(scalar(name))\n")
  }

  /// For a server's name that no rule of the set allows.
  static func serverName(_ name: String, in object: String?, at rulePath: String?) -> Explanation.Remedy {
    let place = rulePath.flatMap { path in
      path.range(of: ".serverNames[").map { String(path[..<$0.lowerBound]) + ".serverNames" }
    }
    return Explanation.Remedy(
      text: "add this to \(place ?? "serverNames")" + (object.map { " of \($0)" } ?? ""), yaml: "- \(scalar(name))\n")
  }

  /// The pattern of names by which a peer outside of the cluster would be meant; nil where labels are asked for.
  private func named(_ unmet: [IdentityRequirement]) -> String? {
    guard isOutside else { return nil }
    return unmet.first { $0.key.source == .fqdn }?.key.key
  }

  private var isOutside: Bool { !peer.labels.labels.contains { $0.source == .kubernetes } }

  /// The labels that would meet requirements; nil where no label would.
  private func wanted(_ unmet: [IdentityRequirement]) -> String? {
    guard !unmet.isEmpty, !isOutside else { return nil }
    var texts: [String] = []
    for requirement in unmet {
      // The namespace, the account and the cluster are no labels that a user can give, nor are addresses and names.
      guard [nil, .kubernetes].contains(requirement.key.source), !IdentityLabels.isDerived(requirement.key.key) else {
        return nil
      }
      switch requirement.operation {
      case .in(let values):
        guard let value = values.min() else { return nil }
        texts.append("the label \(requirement.key.key)=\(value)")
      case .exists: texts.append("a label \(requirement.key.key)")
      case .notIn, .doesNotExist: texts.append("no such label \(requirement.key.key)")
      }
    }
    return texts.joined(separator: " and ")
  }

  /// The rule that would allow just this.
  private var rule: String {
    let side = direction == .ingress ? "ingress" : "egress"
    let end = direction == .ingress ? "from" : "to"
    var lines = ["\(side):"]
    if let reserved = peer.labels.labels.first(where: { $0.source == .reserved }), reserved.key != "unknown",
      !reserved.key.hasPrefix("world")
    {
      lines += ["- \(end)Entities:", "  - \(reserved.key)"]
    } else if peer.labels.labels.contains(where: { $0.source == .kubernetes }) {
      lines += ["- \(end)Endpoints:", "  - matchLabels:"]
      lines += selector.map { "      \($0.key): \(Remedies.scalar($0.value))" }
    } else if direction == .egress, let name = peer.names.first {
      lines += ["- toFQDNs:", "  - matchName: \(Remedies.scalar(name))"]
    } else {
      lines += ["- \(end)CIDR:", "  - \(peer.address)/\(peer.address.isIPv4 ? 32 : 128)"]
    }
    let asked = TransportProtocol(ipProtocol)
    let carriesPorts = [.tcp, .udp, .sctp].contains(asked)
    switch asked {
    case .icmp, .icmpv6:
      lines += [
        "  icmps:", "  - fields:", "    - family: \(asked == .icmp ? "IPv4" : "IPv6")", "      type: \(port)",
      ]
    default:
      lines += [
        "  toPorts:", "  - ports:", "    - port: \"\(port)\"",
        "      protocol: \(carriesPorts ? asked.description : "ANY")",
      ]
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// The peer's own labels, and its namespace where that is another one.
  private var selector: [(key: String, value: String)] {
    var labels = peer.labels.labels.filter { $0.source == .kubernetes && !IdentityLabels.isDerived($0.key) }
      .map { (key: $0.key, value: $0.value) }
    func namespace(_ labels: IdentityLabels) -> String? {
      labels.labels.first { WellKnownLabel.namespaceKey.isKubernetes($0.key) }?.value
    }
    if let own = namespace(peer.labels), own != namespace(subject.labels) || labels.isEmpty {
      labels.append((key: "k8s:\(WellKnownLabel.namespace)", value: own))
    }
    return labels
  }

  /// Quoted where YAML would read something else than text.
  private static func scalar(_ text: String) -> String {
    let plain = text.utf8.allSatisfy { byte in
      (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || "-_./0123456789".utf8.contains(byte)
    }
    let startsWithLetter = text.utf8.first.map { (0x61...0x7A).contains($0 | 0x20) } ?? false
    let isWord = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(text.lowercased())
    return plain && startsWithLetter && !isWord ? text : "\"\(text)\""
  }

  /// A regular expression that matches just this text.
  private static func escaped(_ text: String) -> String {
    String(text.flatMap { "\\.+*?()|[]{}^$".contains($0) ? ["\\", $0] : [$0] }).replacing("'", with: "''")
  }
}
