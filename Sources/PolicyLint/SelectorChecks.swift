import KubernetesAPI
import Labels

/// A selector as it stands in an object.
struct SelectorUse {
  let selector: EndpointSelector
  /// Of the field; the selector of a label map may be written as `{}` or not at all.
  let path: String
  let isSubject: Bool
}

extension LintObject {
  var selectors: [SelectorUse] {
    var uses: [SelectorUse] = []
    for rule in rules {
      let field = if case .nodes = rule.subject { "nodeSelector" } else { "endpointSelector" }
      uses.append(SelectorUse(selector: rule.subject.selector, path: "\(rule.path).\(field)", isSubject: true))
      for traffic in rule.trafficRules {
        for peer in (traffic.endpoints ?? []) + (traffic.nodes ?? []) {
          uses.append(SelectorUse(selector: peer, path: peer.path, isSubject: false))
        }
      }
    }
    guard let networkPolicy else { return uses }
    uses.append(SelectorUse(selector: networkPolicy.podSelector, path: "spec.podSelector", isSubject: true))
    for peer in (networkPolicy.ingress + networkPolicy.egress).flatMap(\.peers) {
      guard case .pods(let pods, let namespaces) = peer.peer else { continue }
      for selector in [pods, namespaces].compactMap({ $0 }) {
        uses.append(SelectorUse(selector: selector, path: selector.path, isSubject: false))
      }
    }
    return uses
  }
}

extension Report {
  mutating func checkSelectors(_ index: Int) {
    for use in objects[index].selectors {
      guard let conflict = Contradiction(use.selector.requirements) else { continue }
      let earlier = objects[index].place(conflict.first.path)
      warn(
        .neverMatches, index, conflict.second.path,
        "selects nothing: no label \(conflict.second.key) is both as this and as \(cite(conflict.first.path, of: index, from: index)) wants it",
        related: [earlier])
    }
    for rule in objects[index].rules.flatMap(\.trafficRules) where rule.namesPeers && rule.peerCount == 0 {
      let verb = rule.action == .allow ? "allows" : "denies"
      warn(
        .neverMatches, index, rule.path,
        "an empty list of peers is nobody: the rule \(verb) nothing; leave the field out for everybody")
    }
  }
}

extension TrafficRule {
  fileprivate var peerCount: Int {
    let lists: [Int?] = [
      endpoints?.count, cidr?.count, cidrSet?.count, entities?.count, nodes?.count, fqdns?.count,
      services?.count, groups?.value.arrayValue?.count,
    ]
    return lists.reduce(0) { $0 + ($1 ?? 0) }
  }
}

/// Two requirements that no set of labels satisfies together.
struct Contradiction {
  let first: EndpointSelector.Requirement
  let second: EndpointSelector.Requirement

  init?(_ requirements: [EndpointSelector.Requirement]) {
    for (index, second) in requirements.enumerated() {
      for first in requirements[..<index] where Contradiction.sameLabel(first.key, second.key) {
        if Contradiction.excludes(first.operation, second.operation)
          || Contradiction.excludes(second.operation, first.operation)
        {
          (self.first, self.second) = (first, second)
          return
        }
      }
    }
    return nil
  }

  /// Pods only have labels of the source `k8s`, so a key without a source means the same one.
  private static func sameLabel(_ left: LabelKey, _ right: LabelKey) -> Bool {
    func source(_ key: LabelKey) -> String { key.source == LabelKey.anySource ? "k8s" : key.source }
    return left.name == right.name && source(left) == source(right)
  }

  private static func excludes(_ left: LabelRequirement.Operation, _ right: LabelRequirement.Operation) -> Bool {
    switch (left, right) {
    case (.in(let mine), .in(let others)): mine.isDisjoint(with: others)
    case (.in(let mine), .notIn(let others)): mine.isSubset(of: others)
    case (.in, .doesNotExist), (.exists, .doesNotExist): true
    default: false
    }
  }
}
