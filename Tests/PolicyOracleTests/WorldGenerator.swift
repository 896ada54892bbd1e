import JSON
import TestSupport

extension SeededGenerator {
  mutating func list(_ range: ClosedRange<Int>, _ make: (inout SeededGenerator) -> JSONValue) -> JSONValue {
    var elements: [JSONValue] = []
    for _ in 0..<Int.random(in: range, using: &self) { elements.append(make(&self)) }
    return .array(elements)
  }
}

/// Makes worlds of a small vocabulary, so that what their policies say overlaps often.
struct WorldGenerator {
  var dice: SeededGenerator
  private let theme: Theme

  /// Worlds in which most rules read one protocol, on few ports: there the rules of several peers and of both ends meet.
  private enum Theme: CaseIterable {
    case http, dns, tls
    /// HTTP by the receivers' rules, TLS by the senders': nothing passes both.
    case crossed
    case everything
  }

  private var isFocused: Bool { theme != .everything }

  init(seed: Int) {
    dice = SeededGenerator(seed: seed)
    theme = dice.chance(40) ? dice.pick(Theme.allCases) : .everything
  }

  mutating func world() -> World {
    var pods: [WorldPod] = []
    for number in 1...7 {
      var labels = ["app": dice.pick(["x", "y", "z"])]
      if dice.chance(50) { labels["tier"] = dice.pick(["1", "2"]) }
      var ports: [WorldPod.Port] = []
      if dice.chance(60) { ports.append(.init(name: "web", number: 6, port: dice.pick([80, 81, 90]))) }
      if dice.chance(30) { ports.append(.init(name: "dns", number: 17, port: 53)) }
      pods.append(
        WorldPod(
          namespace: dice.pick(["a", "b"]), name: "p\(number)", labels: labels, account: dice.pick(["s", "t"]),
          ports: ports, isLocal: number < 6, number: UInt8(number)))
    }
    let nodeLabels = ["n1", "n2"].map { ($0, dice.chance(60) ? ["zone": dice.pick(["near", "far"])] : [:]) }
    return World(
      pods: pods, policies: (0..<Int.random(in: 1...5, using: &dice)).map { policy("p\($0)") },
      objects: WorldGenerator.objects.filter { _ in dice.chance(80) },
      nodeLabels: Dictionary(uniqueKeysWithValues: nodeLabels))
  }

  mutating func question(_ world: World) -> Question? {
    let pods = world.pods
    let local = pods.filter(\.isLocal)
    let subject = WorldEnd.pod(dice.pick(local))
    let other: WorldEnd = dice.chance(65) ? .pod(dice.pick(pods)) : .host(dice.pick(WorldHost.all))
    let ipv6 = dice.chance(50)
    let isFromSubject = dice.chance(50)
    if case .pod(let one) = subject, case .pod(let two) = other, one.number == two.number { return nil }
    var question = Question(
      from: isFromSubject ? subject : other, to: isFromSubject ? other : subject, ipv6: ipv6,
      number: dice.chance(60) ? 6 : dice.pick([6, 17, 132, ipv6 ? 58 : 1]), port: dice.pick(WorldGenerator.ports))
    if question.number == 6, dice.chance(60) { question.port = dice.pick([80, 81, 90]) }
    if isFocused, dice.chance(80) {
      switch theme {
      case .dns: (question.number, question.port) = (dice.pick([6, 17]), 53)
      case .tls: (question.number, question.port) = (6, 100)
      default: (question.number, question.port) = (6, dice.pick([80, 81]))
      }
    }
    if question.number == 1 { question.port = dice.pick([8, 13]) }
    if question.number == 58 { question.port = 128 }
    return question
  }

  static let ports: [UInt16] = [
    1, 52, 53, 53, 54, 79, 80, 80, 81, 81, 82, 89, 90, 90, 91, 99, 100, 127, 128, 1080, 1091, 60080, 65535,
  ]

  // MARK: Policies

  private mutating func policy(_ name: String) -> JSONValue {
    if !isFocused, dice.chance(15) { return networkPolicy(name) }
    let isClusterwide = dice.chance(33)
    var metadata: JSONValue = ["name": .string(name)]
    if !isClusterwide { metadata["namespace"] = .string(dice.pick(["a", "b"])) }
    var policy: JSONValue = [
      "apiVersion": "cilium.io/v2",
      "kind": isClusterwide ? "CiliumClusterwideNetworkPolicy" : "CiliumNetworkPolicy", "metadata": metadata,
    ]
    if dice.chance(85) { policy["spec"] = spec() }
    if policy["spec"] == nil || dice.chance(15) { policy["specs"] = .array([spec(), spec()]) }
    return policy
  }

  private mutating func spec() -> JSONValue {
    var spec: JSONValue = ["endpointSelector": selector(isSubject: true)]
    let sides = ["ingress", "ingressDeny", "egress", "egressDeny"]
    // Most policies are about one direction: else too little passes both ends to be read along.
    let prefix = dice.pick(theme == .dns ? ["egress", "egress", ""] : ["ingress", "ingress", "egress", ""])
    for side in sides where side.hasPrefix(prefix) && dice.chance(side.hasSuffix("Deny") ? 20 : 65) {
      spec[side] = rules(side)
    }
    if sides.allSatisfy({ spec[$0] == nil }) { spec["ingress"] = rules("ingress") }
    if dice.chance(20) {
      var flags: JSONValue = [:]
      for side in ["ingress", "egress"] where dice.chance(70) { flags[side] = .bool(dice.chance(50)) }
      spec["enableDefaultDeny"] = flags
    }
    return spec
  }

  private mutating func rules(_ side: String) -> JSONValue {
    let count = Int.random(in: 1...3, using: &dice)
    return .array((0..<count).map { _ in rule(isIngress: side.hasPrefix("i"), isDeny: side.hasSuffix("Deny")) })
  }

  private mutating func rule(isIngress: Bool, isDeny: Bool) -> JSONValue {
    let prefix = isIngress ? "from" : "to"
    var rule: JSONValue = [:]
    switch Int.random(in: 0..<100, using: &dice) {
    case ..<45 where isFocused: break
    case ..<35:
      rule["\(prefix)Endpoints"] = .array((0..<dice.pick([0, 1, 1, 2])).map { _ in selector(isSubject: false) })
    case ..<48: rule["\(prefix)Entities"] = dice.list(1...2) { .string($0.pick(WorldGenerator.entities)) }
    case ..<55: rule["\(prefix)CIDR"] = dice.list(1...2) { .string($0.pick(WorldGenerator.blocks)) }
    case ..<70:
      rule["\(prefix)CIDRSet"] = dice.list(1...2) { $0.pick(WorldGenerator.blockSets + WorldGenerator.groups) }
    case ..<75: rule["\(prefix)Nodes"] = dice.list(1...2) { $0.pick(WorldGenerator.nodes) }
    case ..<82 where !isIngress: rule["toServices"] = dice.list(1...2) { $0.pick(WorldGenerator.services) }
    default: break
    }
    if dice.chance(7) { rule["\(prefix)Requires"] = .array([selector(isSubject: false)]) }
    switch Int.random(in: 0..<100, using: &dice) {
    case ..<62: rule["toPorts"] = .array((0..<dice.pick([1, 1, 2])).map { _ in ports(isIngress, isDeny) })
    case ..<72: rule["icmps"] = dice.list(1...2) { ["fields": $0.list(1...2) { $0.pick(WorldGenerator.icmps) }] }
    default: break
    }
    return rule
  }

  private mutating func ports(_ isIngress: Bool, _ isDeny: Bool) -> JSONValue {
    guard !isDeny, dice.chance(isFocused ? 90 : 55) else {
      return ["ports": dice.list(1...2) { WorldGenerator.port(&$0) }]
    }
    switch theme {
    case .http: return httpRules()
    case .dns: return isIngress ? ["ports": dice.list(1...2) { WorldGenerator.port(&$0) }] : dnsRules()
    case .tls: return serverNames([100])
    case .crossed: return isIngress ? httpRules() : serverNames([80, 81])
    case .everything:
      if !isIngress, dice.chance(40) { return dnsRules() }
      return dice.chance(20) ? serverNames([100]) : httpRules()
    }
  }

  // Each protocol has ports of its own, as one end reads a connection as one protocol.

  private mutating func dnsRules() -> JSONValue {
    [
      "ports": [["port": "53", "protocol": .string(dice.pick(["UDP", "ANY"]))]],
      "rules": ["dns": dice.list(1...2) { $0.pick(WorldGenerator.names) }],
    ]
  }

  private mutating func serverNames(_ ports: [Int]) -> JSONValue {
    [
      "ports": [["port": .string("\(dice.pick(ports))"), "protocol": .string(dice.pick(["TCP", "ANY"]))]],
      "serverNames": dice.list(1...2) { .string($0.pick(["a.b", "*.b", "*", "**.b", "www.*.b", "a*.c"])) },
    ]
  }

  private mutating func httpRules() -> JSONValue {
    [
      "ports": dice.list(1...2) { ["port": .string($0.pick(["80", "81", "90", "web"])), "protocol": "TCP"] },
      "rules": [
        "http": dice.list(1...2) { dice in
          var rule: JSONValue = [:]
          if dice.chance(70) { rule["method"] = .string(dice.pick(["GET", "PUT", "GET|POST", "P.*"])) }
          if dice.chance(60) { rule["path"] = .string(dice.pick(["/", "/a.*", "/(a|b).*", "/a+b?", ".*\\?a=1"])) }
          return rule
        }
      ],
    ]
  }

  private static func port(_ dice: inout SeededGenerator) -> JSONValue {
    let text = dice.pick(["80", "81", "90", "0", "53", "web", "dns"])
    var port: JSONValue = ["port": .string(text)]
    if dice.chance(70) { port["protocol"] = .string(dice.pick(["TCP", "UDP", "ANY", "SCTP"])) }
    if let number = Int64(text), number > 0, dice.chance(30) {
      port["endPort"] = .integer(number + dice.pick([0, 1, 9, 47, 1000, 60000]))
    }
    return port
  }

  private mutating func selector(isSubject: Bool) -> JSONValue {
    var labels: JSONValue = [:]
    var expressions: [JSONValue] = []
    if dice.chance(60) { labels[dice.pick(["app", "k8s:app", "any:app"])] = .string(dice.pick(["x", "y", "z"])) }
    if dice.chance(20) {
      expressions.append([
        "key": .string(dice.pick(["tier", "app"])), "operator": .string(dice.pick(["In", "NotIn"])),
        "values": dice.list(1...2) { .string($0.pick(["1", "2", "x"])) },
      ])
    }
    if dice.chance(15) {
      expressions.append(["key": "tier", "operator": .string(dice.pick(["Exists", "DoesNotExist"]))])
    }
    if !isSubject {
      if dice.chance(20) { labels["k8s:io.kubernetes.pod.namespace"] = .string(dice.pick(["a", "b"])) }
      if dice.chance(10) { labels["io.cilium.k8s.policy.serviceaccount"] = .string(dice.pick(["s", "t"])) }
      if dice.chance(10) {
        labels["k8s:io.cilium.k8s.namespace.labels.team"] = .string(dice.pick(["team-a", "team-b"]))
      }
      if dice.chance(5) { return ["matchLabels": .object(["reserved:\(dice.pick(["host", "remote-node"]))": ""])] }
    }
    var selector: JSONValue = [:]
    if labels != [:] { selector["matchLabels"] = labels }
    if !expressions.isEmpty { selector["matchExpressions"] = .array(expressions) }
    return selector
  }

  // MARK: Kubernetes' own

  private mutating func networkPolicy(_ name: String) -> JSONValue {
    var spec: JSONValue = ["podSelector": plainSelector()]
    if dice.chance(70) { spec["ingress"] = .array((0..<dice.pick([0, 1, 2])).map { _ in kubernetesRule("from") }) }
    if dice.chance(50) { spec["egress"] = .array((0..<dice.pick([0, 1, 2])).map { _ in kubernetesRule("to") }) }
    if dice.chance(50) { spec["policyTypes"] = dice.pick([["Ingress"], ["Egress"], ["Ingress", "Egress"]]) }
    return [
      "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
      "metadata": ["name": .string(name), "namespace": .string(dice.pick(["a", "b"]))], "spec": spec,
    ]
  }

  private mutating func plainSelector() -> JSONValue {
    dice.pick([
      [:], ["matchLabels": ["app": "x"]], ["matchLabels": ["app": "y", "tier": "1"]],
      ["matchExpressions": [["key": "app", "operator": "NotIn", "values": ["x"]]]],
    ])
  }

  private mutating func kubernetesRule(_ peers: String) -> JSONValue {
    var rule: JSONValue = [:]
    if dice.chance(70) {
      rule[peers] = .array(
        (0..<dice.pick([1, 2])).map { _ in
          if dice.chance(30) { return ["ipBlock": dice.pick(WorldGenerator.blockSets)] }
          var peer: JSONValue = [:]
          if dice.chance(60) { peer["podSelector"] = plainSelector() }
          if peer["podSelector"] == nil || dice.chance(40) {
            peer["namespaceSelector"] = dice.pick([[:], ["matchLabels": ["team": "team-b"]]])
          }
          return peer
        })
    }
    if dice.chance(60) {
      rule["ports"] = dice.list(1...2) { dice in
        var port: JSONValue = ["port": dice.pick([80, 81, "web", 53])]
        if dice.chance(60) { port["protocol"] = .string(dice.pick(["TCP", "UDP", "SCTP"])) }
        if let number = port["port"]?.integerValue, dice.chance(30) { port["endPort"] = .integer(number + 10) }
        return port
      }
    }
    return rule
  }

  private static let entities = [
    "all", "world", "cluster", "host", "remote-node", "kube-apiserver", "health", "none",
  ]

  private static let blocks = [
    "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "0.0.0.0/0", "192.0.2.0/24", "2001:db8::/32",
    "2001:db8::1/128", "2001:db8:8000::/33", "::/0", "::/8",
  ]

  private static let blockSets: [JSONValue] = [
    ["cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]],
    ["cidr": "10.1.0.0/16", "except": ["10.1.2.0/24", "10.1.9.0/24"]],
    ["cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]], ["cidr": "2001:db8::/32", "except": ["2001:db8::1/128"]],
    ["cidr": "::/0", "except": ["2001:db8::/32"]], ["cidr": "10.1.2.0/24"],
  ]

  private static let groups: [JSONValue] = [
    ["cidrGroupRef": "g"], ["cidrGroupRef": "g", "except": ["10.1.2.0/24"]],
    ["cidrGroupSelector": ["matchLabels": ["role": "partner"]]],
    ["cidrGroupSelector": ["matchLabels": ["role": "partner"]], "except": ["10.0.0.0/8", "2001:db8::1/128"]],
    ["cidrGroupRef": "g", "except": ["10.0.0.0/8"]], ["cidrGroupRef": "g", "except": ["10.1.0.0/16", "::/0"]],
    ["cidrGroupSelector": ["matchLabels": ["role": "partner"]], "except": ["0.0.0.0/0"]],
  ]

  private static let nodes: [JSONValue] = [
    [:], ["matchLabels": ["zone": "near"]], ["matchLabels": ["zone": "far"]],
    ["matchExpressions": [["key": "zone", "operator": "DoesNotExist"]]],
  ]

  private static let services: [JSONValue] = [
    ["k8sService": ["serviceName": "s", "namespace": "a"]], ["k8sService": ["serviceName": "s", "namespace": "b"]],
    ["k8sService": ["serviceName": "outside", "namespace": "a"]],
    ["k8sServiceSelector": ["selector": ["matchLabels": ["role": "partner"]]]],
    ["k8sServiceSelector": ["selector": ["matchLabels": ["role": "partner"]], "namespace": "b"]],
  ]

  /// What the policies refer to, as far as it is there.
  private static let objects: [JSONValue] = [
    group("g", role: "other", ["10.1.0.0/16", "192.0.2.7/32"]),
    group("h", role: "partner", ["10.1.2.0/24", "2001:db8::/32"]),
    group("i", role: "partner", ["10.9.0.0/16", "1::/16"]),
    service("s", "a", role: "other", selector: ["app": "x"]),
    service("s", "b", role: "partner", selector: ["app": "y", "tier": "1"]), service("outside", "a", role: "partner"),
    [
      "apiVersion": "v1", "kind": "Endpoints", "metadata": ["name": "outside", "namespace": "a"],
      "subsets": [["addresses": [["ip": "10.1.2.3"], ["ip": "1::1"]], "ports": [["port": 80]]]],
    ],
  ]

  private static func group(_ name: String, role: String, _ blocks: [String]) -> JSONValue {
    [
      "apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup",
      "metadata": ["name": .string(name), "labels": ["role": .string(role)]],
      "spec": ["externalCIDRs": .array(blocks.map(JSONValue.string))],
    ]
  }

  private static func service(
    _ name: String, _ namespace: String, role: String, selector: JSONValue? = nil
  ) -> JSONValue {
    var spec: JSONValue = ["ports": [["port": 80]]]
    if let selector { spec["selector"] = selector }
    return [
      "apiVersion": "v1", "kind": "Service",
      "metadata": ["name": .string(name), "namespace": .string(namespace), "labels": ["role": .string(role)]],
      "spec": spec,
    ]
  }

  private static let icmps: [JSONValue] = [
    ["type": 8], ["type": "EchoRequest", "family": "IPv6"], ["type": 13, "family": "IPv4"], ["type": "Timestamp"],
    ["type": 128, "family": "IPv6"],
  ]

  private static let names: [JSONValue] = [
    ["matchName": "a.b"], ["matchPattern": "*.b"], ["matchPattern": "*"], ["matchPattern": "a*.c"],
  ]
}
