import Addressing
import Identity
import JSON
import KubernetesAPI
import Policy

/// The meaning of policy documents, read straight from their JSON, one connection at a time. Shares nothing with the
/// compiler but the labels of pods.
struct Oracle {
  let cluster: Cluster
  let policies: [JSONValue]

  func decide(
    _ subject: TestPod, _ peer: TestPeer, _ direction: Direction, _ number: UInt8, _ port: UInt16
  ) -> Outcome {
    let side = direction == .ingress ? "ingress" : "egress"
    var restricted = false
    var allowed = false
    var http: Set<String>?
    var denied = false
    let applicable = policies.filter { policy in
      let namespace = policy[path: "metadata", "namespace"]?.stringValue
      guard namespace == nil || namespace == subject.namespace else { return false }
      return policy[path: "spec", "endpointSelector"].map { selects($0, .pod(subject)) } ?? false
    }
    // Whether the peer has what the rules of a list require of endpoints.
    func hasRequired(_ list: String) -> Bool {
      applicable.allSatisfy { policy in
        (policy[path: "spec", list]?.arrayValue ?? []).allSatisfy { rule in
          (rule[direction == .ingress ? "fromRequires" : "toRequires"]?.arrayValue ?? []).allSatisfy {
            endpointMatches($0, policy[path: "metadata", "namespace"]?.stringValue, peer)
          }
        }
      }
    }
    let isEndpoint = (allow: hasRequired(side), deny: hasRequired("\(side)Deny"))
    for policy in applicable {
      guard let spec = policy["spec"] else { continue }
      let namespace = policy[path: "metadata", "namespace"]?.stringValue
      let allow = spec[side]?.arrayValue ?? []
      let deny = spec["\(side)Deny"]?.arrayValue ?? []
      if spec[path: "enableDefaultDeny", side]?.boolValue ?? !(allow + deny).isEmpty { restricted = true }
      for rule in deny where ruleMatches(rule, namespace, peer, direction, isEndpoint: isEndpoint.deny) {
        if services(rule, subject, peer, direction, number, port, isDeny: true) != nil { denied = true }
      }
      for rule in allow where ruleMatches(rule, namespace, peer, direction, isEndpoint: isEndpoint.allow) {
        switch services(rule, subject, peer, direction, number, port, isDeny: false) {
        case nil: break
        case .allow?: allowed = true
        case .http(let methods)?: http = (http ?? []).union(methods)
        case .deny?, .drop?, .dns?, .tls?: break
        }
      }
    }
    if denied { return .deny }
    if !restricted || allowed { return .allow }
    if direction == .ingress, peer == .reserved(.host) { return .allow }
    return http.map { .http($0) } ?? .drop
  }

  private func ruleMatches(
    _ rule: JSONValue, _ namespace: String?, _ peer: TestPeer, _ direction: Direction, isEndpoint: Bool
  ) -> Bool {
    let prefix = direction == .ingress ? "from" : "to"
    let fields = ["Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes", "Services", "FQDNs", "Groups"]
    let present = fields.filter { rule[prefix + $0] != nil }
    if present.isEmpty { return rule["toPorts"] != nil || rule["icmps"] != nil }
    for field in present {
      for element in rule[prefix + field]?.arrayValue ?? [] {
        switch field {
        case "Endpoints": if isEndpoint, endpointMatches(element, namespace, peer) { return true }
        case "CIDR": if inside(peer, element.stringValue) { return true }
        case "CIDRSet":
          let holes = element["except"]?.arrayValue ?? []
          if inside(peer, element["cidr"]?.stringValue), !holes.contains(where: { inside(peer, $0.stringValue) }) {
            return true
          }
        case "Entities": if entityMatches(element.stringValue ?? "", peer) { return true }
        // Neither are there Services, nor nodes with labels.
        default: break
        }
      }
    }
    return false
  }

  private func inside(_ peer: TestPeer, _ text: String?) -> Bool {
    guard let text, let cidr = CIDR(text) else { return false }
    switch peer {
    case .address(let address): return cidr.isIPv4 == address.isIPv4 && cidr.contains(address)
    case .reserved(.worldIPv4): return text == "0.0.0.0/0"
    case .reserved(.worldIPv6): return text == "::/0"
    default: return false
    }
  }

  private func entityMatches(_ entity: String, _ peer: TestPeer) -> Bool {
    switch (entity, peer) {
    case ("all", _): true
    case ("world", .address), ("world", .reserved(.worldIPv4)), ("world", .reserved(.worldIPv6)): true
    case ("cluster", .pod): true
    case ("cluster", .reserved(let reserved)): ![.world, .worldIPv4, .worldIPv6].contains(reserved)
    case (_, .reserved(let reserved)): reserved.name == entity
    default: false
    }
  }

  private func endpointMatches(_ selector: JSONValue, _ namespace: String?, _ peer: TestPeer) -> Bool {
    let keys =
      (selector["matchLabels"]?.objectValue ?? [:]).keys.map { $0 }
      + (selector["matchExpressions"]?.arrayValue ?? []).compactMap { $0["key"]?.stringValue }
    if !keys.contains(where: { $0.hasPrefix("reserved:") }), !keys.contains(where: { $0.hasSuffix("pod.namespace") }) {
      guard case .pod(let pod) = peer else { return false }
      if let namespace, !keys.contains(where: { $0.contains("namespace.labels.") }), pod.namespace != namespace {
        return false
      }
    }
    return selects(selector, peer)
  }

  private func selects(_ selector: JSONValue, _ peer: TestPeer) -> Bool {
    func value(_ key: String) -> String? {
      switch peer {
      case .address(let address): return key == "reserved:world-ipv\(address.isIPv4 ? 4 : 6)" ? "" : nil
      case .reserved(let reserved): return key == "reserved:\(reserved.name)" ? "" : nil
      case .pod(let pod):
        var plain = key
        for prefix in ["k8s:", "any:"] where key.hasPrefix(prefix) { plain = String(key.dropFirst(prefix.count)) }
        if plain == "io.kubernetes.pod.namespace" { return pod.namespace }
        if plain == "io.cilium.k8s.policy.serviceaccount" { return pod.account }
        if plain == "io.cilium.k8s.namespace.labels.team" { return "team-\(pod.namespace)" }
        return pod.labels[plain]
      }
    }
    for (key, wanted) in selector["matchLabels"]?.objectValue ?? [:] where value(key) != wanted.stringValue {
      return false
    }
    for expression in selector["matchExpressions"]?.arrayValue ?? [] {
      let found = value(expression["key"]?.stringValue ?? "")
      let values = (expression["values"]?.arrayValue ?? []).compactMap(\.stringValue)
      let isIn = found.map(values.contains) ?? false
      switch expression["operator"]?.stringValue {
      case "In": if !isIn { return false }
      case "NotIn": if isIn { return false }
      case "Exists": if found == nil { return false }
      default: if found != nil { return false }
      }
    }
    return true
  }

  /// What the rule, whose peers match, says of a protocol and port; nil for nothing.
  private func services(
    _ rule: JSONValue, _ subject: TestPod, _ peer: TestPeer, _ direction: Direction, _ number: UInt8, _ port: UInt16,
    isDeny: Bool
  ) -> Outcome? {
    if let mode = rule[path: "authentication", "mode"]?.stringValue, mode != "disabled" { return nil }
    if let icmps = rule["icmps"]?.arrayValue {
      let fields = icmps.flatMap { $0["fields"]?.arrayValue ?? [] }
      return fields.contains {
        ($0["family"]?.stringValue == "IPv6" ? 58 : 1) == number && $0["type"]?.integerValue == Int64(port)
      } ? .allow : nil
    }
    guard let toPorts = rule["toPorts"]?.arrayValue, !toPorts.isEmpty else { return .allow }
    var result: Outcome?
    let owner: Set<NamedPort>
    switch (direction, peer) {
    case (.ingress, _): owner = subject.ports
    case (.egress, .pod(let pod)): owner = pod.ports
    case (.egress, _): owner = []
    }
    for element in toPorts {
      let matches = (element["ports"]?.arrayValue ?? []).contains { portMatches($0, owner, number, port) }
      guard matches else { continue }
      guard let rules = element["rules"] else { return .allow }
      guard direction == .ingress, let http = rules["http"]?.arrayValue else { continue }
      var methods = Set(http.map { $0["method"]?.stringValue ?? "*" })
      if case .http(let others) = result { methods.formUnion(others) }
      result = .http(methods)
    }
    return result
  }

  private func portMatches(_ value: JSONValue, _ owner: Set<NamedPort>, _ number: UInt8, _ port: UInt16) -> Bool {
    let name = value["protocol"]?.stringValue ?? "ANY"
    let numbers: [UInt8] = name == "ANY" ? [6, 17, 132] : [Scenario.protocols[name] ?? 0]
    guard numbers.contains(number) else { return false }
    let text = value["port"]?.stringValue ?? "0"
    guard let first = UInt16(text) else {
      return owner.contains { $0.name == text && $0.protocol == number && $0.port == port }
    }
    if first == 0 { return true }
    let last = value["endPort"]?.integerValue.map { UInt16($0) } ?? first
    return (first...max(first, last)).contains(port)
  }
}
