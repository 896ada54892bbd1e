import Addressing
import Identity
import KubernetesAPI
import Policy

/// What the running cluster has that policies are about.
public struct LiveCluster: Sendable {
  public struct Pod: Sendable {
    public let namespace: String
    public let name: String
    public let labels: IdentityLabels
    /// nil when they are not known.
    public let namedPorts: Set<NamedPort>?
    public let addresses: [IPAddress]
    /// The TCP ports that it listens on; nil when that is not known.
    public let listening: Set<UInt16>?

    public init(
      namespace: String, name: String, labels: IdentityLabels, namedPorts: Set<NamedPort>? = nil,
      addresses: [IPAddress] = [], listening: Set<UInt16>? = nil
    ) {
      self.namespace = namespace
      self.name = name
      self.labels = labels
      self.namedPorts = namedPorts
      self.addresses = addresses
      self.listening = listening
    }
  }

  public let pods: [Pod]

  public init(pods: [Pod]) { self.pods = pods }
}

extension Report {
  mutating func check(against live: LiveCluster) {
    for (index, object) in objects.enumerated() {
      for section in object.document?.sections ?? [] {
        let subjects = live.pods.filter { section.subject.matches($0.labels) }
        if subjects.isEmpty {
          warn(
            .selectsNothing, index, "\(section.path).endpointSelector",
            "selects none of the \(live.pods.count) pods that run here now")
        }
        for rule in section.rules where !rule.isRefused {
          let peers = checkPeers(rule, index, live)
          checkListeners(rule, rule.direction == .ingress ? subjects : peers, index)
        }
      }
      checkPodBlocks(index, live)
    }
  }

  /// The pods that a rule means by its peers; tells of selectors that mean none.
  private mutating func checkPeers(_ rule: PolicyRule, _ index: Int, _ live: LiveCluster) -> [LiveCluster.Pod] {
    guard case .selected(let selectors, _) = rule.peers else { return [] }
    let field = rule.direction == .ingress ? "fromEndpoints" : "toEndpoints"
    let written = objects[index].written("\(rule.path).\(field)")?.arrayValue?.count
    var all: [LiveCluster.Pod] = []
    for (number, selector) in selectors.enumerated() {
      let selected = live.pods.filter { selector.matches($0.labels) }
      all += selected
      let isReserved = selector.requirements.contains { $0.key.source == .reserved }
      // Lowering keeps the order of the elements, and puts them before other peers.
      if let written, number < written, selected.isEmpty, !isReserved {
        warn(
          .selectsNothing, index, "\(rule.path).\(field)[\(number)]",
          "selects none of the \(live.pods.count) pods that run here now")
      }
    }
    return all
  }

  private mutating func checkListeners(_ rule: PolicyRule, _ pods: [LiveCluster.Pod], _ index: Int) {
    guard !pods.isEmpty else { return }
    var told: Set<String> = []
    for term in rule.terms where term.effect != .deny {
      switch term.ports {
      case .named(let name):
        let known = pods.compactMap(\.namedPorts)
        guard known.count == pods.count, !known.contains(where: { $0.contains { $0.name == name } }) else { continue }
        if told.insert(term.path).inserted {
          warn(.nobodyListens, index, "\(term.path).port", "no selected pod has a port named \(name)")
        }
      case .range(let range):
        guard term.protocol == 6, range.count <= 1024 else { continue }
        let known = pods.compactMap(\.listening)
        guard known.count == pods.count, !known.contains(where: { $0.contains(where: range.contains) }) else {
          continue
        }
        if told.insert(term.path).inserted {
          let ports = Set(known.flatMap { $0 }).sorted().map { String($0) }.joined(separator: ", ")
          warn(
            .nobodyListens, index, "\(term.path).port",
            "no selected pod listens there now" + (ports.isEmpty ? "" : ", only on \(ports)"))
        }
      }
    }
  }

  /// Pods are known by their labels: a block of addresses never means one.
  private mutating func checkPodBlocks(_ index: Int, _ live: LiveCluster) {
    for rule in objects[index].rules.flatMap(\.trafficRules) {
      for (path, cidr) in (rule.cidr ?? []).map({ ($0.path, $0.cidr) }) + (rule.cidrSet ?? []).compactMap(block) {
        guard cidr.length > 0, let pod = live.pods.first(where: { $0.addresses.contains { cidr.contains($0) } }) else {
          continue
        }
        warn(
          .misleading, index, path,
          "blocks of addresses never mean pods, though \(pod.namespace)/\(pod.name) has one of these addresses: select it by labels"
        )
      }
    }
  }

  private func block(_ set: CIDRRule) -> (String, CIDR)? {
    if case .cidr(let cidr) = set.source { (set.path, cidr) } else { nil }
  }
}
