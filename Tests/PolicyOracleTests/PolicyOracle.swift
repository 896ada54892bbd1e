import Glibc
import JSON

/// The meaning of policies, read from their documents as the API's documentation has it, one question at a time: Cilium's
/// "Network Policy" pages and Kubernetes' reference of NetworkPolicy. Nothing is compiled, indexed or shared; it is slow
/// on purpose.
struct PolicyOracle {
  let world: World

  private enum Side: String {
    case ingress, egress
  }

  /// What one end's policies say.
  private enum Ruling: Equatable {
    case allowed, denied, notAllowed
    /// The elements of `rules.http` of which one must match.
    case http([JSONValue])
    case dns([JSONValue])
    /// The elements of `serverNames`.
    case tls([JSONValue])
  }

  func fate(_ question: Question) -> Fate {
    let egress = ruling(.egress, of: question.from, with: question.to, question)
    let ingress = ruling(.ingress, of: question.to, with: question.from, question)
    for ruling in [egress, ingress] {
      if ruling == .denied { return .denied }
      if ruling == .notAllowed { return .notAllowed }
    }
    switch (egress, ingress) {
    case (.allowed, .allowed): return .forwarded
    case (.allowed, let one), (let one, .allowed): return heard(one)
    default: return PolicyOracle.both(heard(egress), heard(ingress))
    }
  }

  /// What both ends let pass, as long as they read the same protocol.
  private static func both(_ one: Fate, _ other: Fate) -> Fate {
    func and(_ one: [Bool], _ other: [Bool]) -> [Bool] { zip(one, other).map { $0 && $1 } }
    return switch (one, other) {
    case (.requests(let one), .requests(let other)): .requests(and(one, other))
    case (.names(let one), .names(let other)): .names(and(one, other))
    case (.serverNames(let one), .serverNames(let other)): .serverNames(and(one, other))
    default: .unreadable
    }
  }

  private func heard(_ ruling: Ruling) -> Fate {
    switch ruling {
    case .http(let rules):
      return .requests(
        Question.requests.map { method, path in
          rules.contains { rule in
            (rule["method"]?.stringValue).map { SlowRegex($0).matches(method) } ?? true
              && (rule["path"]?.stringValue).map { SlowRegex($0).matches(path) } ?? true
          }
        })
    case .dns(let rules):
      return .names(Question.names.map { name in rules.contains { PolicyOracle.isNamed($0, name) } })
    case .tls(let patterns):
      return .serverNames(
        Question.serverNames.map { name in
          patterns.contains { PolicyOracle.isServer(name, $0.stringValue ?? "") }
        })
    default: return .unreadable
    }
  }

  /// `**.` at the beginning stands for one label or more; otherwise as the patterns of DNS.
  private static func isServer(_ name: String, _ pattern: String) -> Bool {
    guard pattern.hasPrefix("**.") else { return isNamed(["matchPattern": .string(pattern)], name) }
    let rest = pattern.dropFirst(2)
    return name.hasSuffix(rest) && name.count > rest.count
  }

  /// `*` stands for any number of the characters of a name but the dot; alone it is every name.
  private static func isNamed(_ rule: JSONValue, _ name: String) -> Bool {
    if let wanted = rule["matchName"]?.stringValue { return wanted == name }
    guard let pattern = rule["matchPattern"]?.stringValue else { return false }
    if pattern == "*" { return true }
    func fits(_ pattern: Substring, _ name: Substring) -> Bool {
      guard let first = pattern.first else { return name.isEmpty }
      if first == "*" {
        if fits(pattern.dropFirst(), name) { return true }
        return name.first.map { $0 != "." && fits(pattern, name.dropFirst()) } ?? false
      }
      return name.first == first && fits(pattern.dropFirst(), name.dropFirst())
    }
    return fits(pattern[...], name[...])
  }

  private func ruling(_ side: Side, of subject: WorldEnd, with peer: WorldEnd, _ question: Question) -> Ruling {
    // Only pods of this node have policies here.
    guard case .pod(let pod) = subject, pod.isLocal else { return .allowed }
    var isIsolated = false
    var rulings: [Ruling] = []
    let required = requirements(side, of: pod)
    for policy in world.policies {
      let namespace = policy[path: "metadata", "namespace"]?.stringValue
      if let namespace, namespace != pod.namespace { continue }
      if policy["kind"] == "NetworkPolicy" {
        guard let spec = policy["spec"], selects(spec["podSelector"] ?? [:], pod.labels) else { continue }
        guard isAbout(spec, side) else { continue }
        isIsolated = true
        let rules = spec[side.rawValue]?.arrayValue ?? []
        if rules.contains(where: { allows($0, side, pod, peer, question) }) { rulings.append(.allowed) }
        continue
      }
      for spec in [policy["spec"]].compactMap(\.self) + (policy["specs"]?.arrayValue ?? []) {
        guard let selector = spec["endpointSelector"], selects(selector, .pod(pod)) else { continue }
        let allow = spec[side.rawValue]?.arrayValue ?? []
        let deny = spec["\(side.rawValue)Deny"]?.arrayValue ?? []
        let isolates = spec[path: "enableDefaultDeny", side.rawValue]?.boolValue ?? !(allow.isEmpty && deny.isEmpty)
        isIsolated = isIsolated || isolates
        for rule in deny
        where isAbout(rule, side, namespace, peer, question.ipv6) && isFit(rule, side, peer, required.deny) {
          if isOn(rule, side, pod, peer, question).matches { rulings.append(.denied) }
        }
        for rule in allow
        where isAbout(rule, side, namespace, peer, question.ipv6) && isFit(rule, side, peer, required.allow) {
          rulings += isOn(rule, side, pod, peer, question).rulings
        }
      }
    }
    return combined(rulings, isIsolated: isIsolated, fromHost: side == .ingress && peer.isHost)
  }

  private typealias Requirement = (namespace: String?, selector: JSONValue)

  /// What `fromRequires` and `toRequires` of all policies about a pod ask of peers that are selected by labels.
  private func requirements(_ side: Side, of pod: WorldPod) -> (allow: [Requirement], deny: [Requirement]) {
    var found: [String: [Requirement]] = [:]
    for policy in world.policies where policy["kind"] != "NetworkPolicy" {
      let namespace = policy[path: "metadata", "namespace"]?.stringValue
      if let namespace, namespace != pod.namespace { continue }
      for spec in [policy["spec"]].compactMap(\.self) + (policy["specs"]?.arrayValue ?? []) {
        guard let selector = spec["endpointSelector"], selects(selector, .pod(pod)) else { continue }
        for kind in ["", "Deny"] {
          for rule in spec[side.rawValue + kind]?.arrayValue ?? [] {
            let selectors = rule[side == .ingress ? "fromRequires" : "toRequires"]?.arrayValue ?? []
            found[kind, default: []] += selectors.map { (namespace, $0) }
          }
        }
      }
    }
    return (found[""] ?? [], found["Deny"] ?? [])
  }

  private func isFit(_ rule: JSONValue, _ side: Side, _ peer: WorldEnd, _ required: [Requirement]) -> Bool {
    guard rule[side == .ingress ? "fromEndpoints" : "toEndpoints"]?.arrayValue?.isEmpty == false else { return true }
    return required.allSatisfy { isPeer($0.selector, $0.namespace, peer) }
  }

  /// Deny wins, then a plain allow, then the union of what may be said.
  private func combined(_ rulings: [Ruling], isIsolated: Bool, fromHost: Bool) -> Ruling {
    if rulings.contains(.denied) { return .denied }
    // The node always reaches its own pods: probes come from it.
    if !isIsolated || fromHost || rulings.contains(.allowed) { return .allowed }
    var http: [JSONValue]?
    var dns: [JSONValue]?
    var tls: [JSONValue]?
    for ruling in rulings {
      if case .http(let rules) = ruling { http = (http ?? []) + rules }
      if case .dns(let rules) = ruling { dns = (dns ?? []) + rules }
      if case .tls(let names) = ruling { tls = (tls ?? []) + names }
    }
    return http.map { .http($0) } ?? dns.map { .dns($0) } ?? tls.map { .tls($0) } ?? .notAllowed
  }

  // MARK: Cilium's rules

  /// Whether the rule means the peer.
  private func isAbout(
    _ rule: JSONValue, _ side: Side, _ namespace: String?, _ peer: WorldEnd, _ ipv6: Bool
  ) -> Bool {
    let prefix = side == .ingress ? "from" : "to"
    func list(_ field: String) -> [JSONValue]? { rule[prefix + field]?.arrayValue }
    let fields = ["Endpoints", "Entities", "CIDR", "CIDRSet", "Nodes", "Services"]
    if fields.allSatisfy({ list($0) == nil }) {
      // `{}` means nobody; ports alone mean everybody.
      return rule["toPorts"] != nil || rule["icmps"] != nil
    }
    for selector in list("Endpoints") ?? [] where isPeer(selector, namespace, peer) { return true }
    for entity in list("Entities") ?? [] where isEntity(entity.stringValue ?? "", peer, ipv6) { return true }
    for block in list("CIDR") ?? [] where isInside(peer, block.stringValue, ipv6) { return true }
    for selector in list("Nodes") ?? [] where isNode(peer, selector) { return true }
    for service in list("Services") ?? [] where isBehind(service, peer, ipv6) { return true }
    for set in list("CIDRSet") ?? [] where blocks(set).contains(where: { isInside(peer, $0, ipv6) }) {
      let holes = set["except"]?.arrayValue ?? []
      if !holes.contains(where: { isInside(peer, $0.stringValue, ipv6) }) { return true }
    }
    return false
  }

  /// The blocks of an element of `fromCIDRSet` or `toCIDRSet`.
  private func blocks(_ set: JSONValue) -> [String] {
    if let block = set["cidr"]?.stringValue { return [block] }
    return world.objects.filter { $0["kind"] == "CiliumCIDRGroup" }.filter { group in
      if let name = set["cidrGroupRef"] { return group[path: "metadata", "name"] == name }
      return set["cidrGroupSelector"].map { selects($0, group.labels) } ?? false
    }.flatMap { $0[path: "spec", "externalCIDRs"]?.arrayValue ?? [] }.compactMap(\.stringValue)
  }

  private func isNode(_ peer: WorldEnd, _ selector: JSONValue) -> Bool {
    guard case .host(let host) = peer, host.entity == "host" || host.entity == "remote-node" else { return false }
    return selects(selector, host.node.flatMap { world.nodeLabels[$0] } ?? [:])
  }

  /// A Service with a selector means its pods, one without means the addresses of its endpoints.
  private func isBehind(_ reference: JSONValue, _ peer: WorldEnd, _ ipv6: Bool) -> Bool {
    let named = reference["k8sService"]
    let selected = reference["k8sServiceSelector"]
    return world.objects.filter { $0["kind"] == "Service" }.contains { service in
      let (name, namespace) = (service[path: "metadata", "name"], service[path: "metadata", "namespace"])
      if let wanted = (named ?? selected)?["namespace"], wanted != namespace { return false }
      if let named, named["serviceName"] != name { return false }
      if let selected, !selects(selected["selector"] ?? [:], service.labels) { return false }
      if let selector = service[path: "spec", "selector"] {
        guard case .pod(let pod) = peer else { return false }
        return .string(pod.namespace) == namespace && selects(["matchLabels": selector], pod.labels)
      }
      return world.objects.contains { endpoints in
        endpoints["kind"] == "Endpoints" && endpoints[path: "metadata", "name"] == name
          && endpoints[path: "metadata", "namespace"] == namespace
          && (endpoints["subsets"]?.arrayValue ?? []).contains { subset in
            (subset["addresses"]?.arrayValue ?? []).contains { isInside(peer, $0["ip"]?.stringValue, ipv6) }
          }
      }
    }
  }

  /// Peers of a namespaced policy are of its namespace unless their selector speaks of namespaces.
  private func isPeer(_ selector: JSONValue, _ namespace: String?, _ peer: WorldEnd) -> Bool {
    let expressions = selector["matchExpressions"]?.arrayValue ?? []
    let keys =
      Array((selector["matchLabels"]?.objectValue ?? [:]).keys) + expressions.compactMap { $0["key"]?.stringValue }
    if case .host = peer { return keys.contains { $0.hasPrefix("reserved:") } && selects(selector, peer) }
    guard case .pod(let pod) = peer, selects(selector, peer) else { return false }
    let speaksOfNamespaces = keys.contains {
      $0.hasSuffix("io.kubernetes.pod.namespace") || $0.contains("io.cilium.k8s.namespace.labels.")
    }
    return speaksOfNamespaces || namespace == nil || pod.namespace == namespace
  }

  private func isEntity(_ entity: String, _ peer: WorldEnd, _ ipv6: Bool) -> Bool {
    switch (entity, peer) {
    case ("all", _): return true
    case ("none", _): return false
    case ("cluster", .pod): return true
    case ("cluster", .host(let host)): return host.entity != nil
    case ("world", .host(let host)): return host.entity == nil
    case ("world-ipv4", .host(let host)): return host.entity == nil && !ipv6
    case ("world-ipv6", .host(let host)): return host.entity == nil && ipv6
    case (_, .host(let host)): return host.entity == entity
    default: return false
    }
  }

  /// Blocks mean addresses outside of the cluster only.
  private func isInside(_ peer: WorldEnd, _ block: String?, _ ipv6: Bool) -> Bool {
    guard case .host(let host) = peer, host.entity == nil, let block, let address = ipv6 ? host.v6 : host.v4 else {
      return false
    }
    let parts = block.split(separator: "/")
    let outer = PolicyOracle.bits(String(parts[0]))
    let inner = PolicyOracle.bits(address)
    let length = parts.count > 1 ? Int(parts[1]) ?? 0 : outer.count
    return outer.count == inner.count && outer.prefix(length) == inner.prefix(length)
  }

  /// An address as so many zeros and ones.
  private static func bits(_ text: String) -> [Bool] {
    var bytes = [UInt8](repeating: 0, count: text.contains(":") ? 16 : 4)
    inet_pton(text.contains(":") ? AF_INET6 : AF_INET, text, &bytes)
    return bytes.flatMap { byte in (0..<8).map { byte & (128 >> UInt8($0)) != 0 } }
  }

  private func selects(_ selector: JSONValue, _ peer: WorldEnd) -> Bool {
    switch peer {
    case .host(let host): return selects(selector, ["reserved:\(host.entity ?? "world")": ""])
    case .pod(let pod):
      var labels = pod.labels
      labels["io.kubernetes.pod.namespace"] = pod.namespace
      labels["io.cilium.k8s.policy.serviceaccount"] = pod.account
      for (key, value) in World.namespaceLabels(pod.namespace) {
        labels["io.cilium.k8s.namespace.labels.\(key)"] = value
      }
      for (key, value) in labels { (labels["k8s:\(key)"], labels["any:\(key)"]) = (value, value) }
      return selects(selector, labels)
    }
  }

  private func selects(_ selector: JSONValue, _ labels: [String: String]) -> Bool {
    for (key, value) in selector["matchLabels"]?.objectValue ?? [:] where labels[key] != value.stringValue {
      return false
    }
    for expression in selector["matchExpressions"]?.arrayValue ?? [] {
      let value = labels[expression["key"]?.stringValue ?? ""]
      let listed = (expression["values"]?.arrayValue ?? []).contains { $0.stringValue == value }
      switch expression["operator"]?.stringValue {
      case "In": if value == nil || !listed { return false }
      case "NotIn": if value != nil && listed { return false }
      case "Exists": if value == nil { return false }
      default: if value != nil { return false }
      }
    }
    return true
  }

  /// What a rule about the peer says of the protocol and port.
  private func isOn(
    _ rule: JSONValue, _ side: Side, _ subject: WorldPod, _ peer: WorldEnd, _ question: Question
  ) -> (matches: Bool, rulings: [Ruling]) {
    if let icmps = rule["icmps"]?.arrayValue {
      let matches = icmps.flatMap { $0["fields"]?.arrayValue ?? [] }.contains { field in
        (field["family"] == "IPv6" ? 58 : 1) == question.number && PolicyOracle.icmpType(field) == Int64(question.port)
      }
      return (matches, matches ? [.allowed] : [])
    }
    guard let elements = rule["toPorts"]?.arrayValue, !elements.isEmpty else { return (true, [.allowed]) }
    let owner: WorldPod? =
      if side == .ingress { subject } else if case .pod(let pod) = peer { pod } else { nil }
    var rulings: [Ruling] = []
    for element in elements {
      let ports = element["ports"]?.arrayValue ?? []
      guard ports.contains(where: { isPort($0, owner, question) }) else { continue }
      if let http = element[path: "rules", "http"]?.arrayValue {
        rulings.append(.http(http))
      } else if let dns = element[path: "rules", "dns"]?.arrayValue {
        if question.number != 132 { rulings.append(.dns(dns)) }
      } else if let names = element["serverNames"]?.arrayValue {
        if question.number == 6 { rulings.append(.tls(names)) }
      } else {
        rulings.append(.allowed)
      }
    }
    return (!rulings.isEmpty, rulings)
  }

  private static func icmpType(_ field: JSONValue) -> Int64? {
    switch (field["type"]?.stringValue, field["family"] == "IPv6") {
    case ("EchoRequest", false): 8
    case ("EchoRequest", true): 128
    case ("Timestamp", false): 13
    case (let text?, _): Int64(text)
    default: field["type"]?.integerValue
    }
  }

  private func isPort(_ port: JSONValue, _ owner: WorldPod?, _ question: Question) -> Bool {
    let numbers: [String: [UInt8]] = ["TCP": [6], "UDP": [17], "SCTP": [132], "ANY": [6, 17, 132]]
    guard (numbers[port["protocol"]?.stringValue ?? "ANY"] ?? []).contains(question.number) else { return false }
    let text = port["port"]?.stringValue ?? port["port"]?.integerValue.map { String($0) } ?? "0"
    guard let first = Int(text) else {
      return owner?.ports.contains { ($0.name, $0.number, $0.port) == (text, question.number, question.port) } ?? false
    }
    if first == 0 { return true }
    return first...max(first, Int(port["endPort"]?.integerValue ?? 0)) ~= Int(question.port)
  }

  // MARK: Kubernetes' own policies

  private func isAbout(_ spec: JSONValue, _ side: Side) -> Bool {
    if let types = spec["policyTypes"]?.arrayValue {
      return types.contains(side == .ingress ? "Ingress" : "Egress")
    }
    return side == .ingress || !(spec["egress"]?.arrayValue ?? []).isEmpty
  }

  private func allows(
    _ rule: JSONValue, _ side: Side, _ subject: WorldPod, _ peer: WorldEnd, _ question: Question
  ) -> Bool {
    let peers = rule[side == .ingress ? "from" : "to"]?.arrayValue ?? []
    let isMeant = peers.isEmpty || peers.contains { isKubernetesPeer($0, subject.namespace, peer, question.ipv6) }
    let owner: WorldPod? =
      if side == .ingress { subject } else if case .pod(let pod) = peer { pod } else { nil }
    let ports = rule["ports"]?.arrayValue ?? []
    return isMeant
      && (ports.isEmpty
        || ports.contains { port in
          var port = port
          if port["protocol"] == nil { port["protocol"] = "TCP" }
          return isPort(port, owner, question)
        })
  }

  private func isKubernetesPeer(_ element: JSONValue, _ namespace: String, _ peer: WorldEnd, _ ipv6: Bool) -> Bool {
    if let block = element["ipBlock"] {
      let holes = block["except"]?.arrayValue ?? []
      return isInside(peer, block["cidr"]?.stringValue, ipv6)
        && !holes.contains { isInside(peer, $0.stringValue, ipv6) }
    }
    guard case .pod(let pod) = peer else { return false }
    let isThere =
      element["namespaceSelector"].map { selects($0, World.namespaceLabels(pod.namespace)) }
      ?? (pod.namespace == namespace)
    return isThere && element["podSelector"].map { selects($0, pod.labels) } ?? true
  }
}

extension JSONValue {
  /// Of an object.
  fileprivate var labels: [String: String] {
    (self[path: "metadata", "labels"]?.objectValue ?? [:]).compactMapValues(\.stringValue)
  }
}

extension WorldEnd {
  fileprivate var isHost: Bool {
    if case .host(let host) = self { host.entity == "host" } else { false }
  }
}
