import JSON
import TestSupport

extension SeededGenerator {
  mutating func list(_ counts: [Int], _ make: (inout SeededGenerator) -> JSONValue) -> JSONValue {
    var elements: [JSONValue] = []
    for _ in 0..<pick(counts) { elements.append(make(&self)) }
    return .array(elements)
  }
}

/// Policies and traffic of a small vocabulary, so that they meet often.
struct RandomTraffic {
  var dice: SeededGenerator

  init(seed: Int) { dice = SeededGenerator(seed: seed) }

  /// Namespace, name and labels.
  static let pods: [(namespace: String, name: String, labels: String)] = [
    ("a", "p0", "app=x,tier=1"), ("a", "p1", "app=x,tier=2"), ("a", "p2", "app=y,tier=1"), ("a", "p3", "app=z"),
    ("b", "p0", "app=x,tier=1"), ("b", "p1", "app=y"), ("b", "p2", "app=y,tier=2"), ("b", "p3", "app=z,tier=1"),
  ]

  // MARK: Traffic

  /// Who sends and who receives: an index of `pods`; nil is the world.
  struct Question {
    let from: Int?
    let to: Int?
    /// The world's second address.
    let isFar: Bool
    let family: Family
    let `protocol`: String
    let port: Int
    /// What is said: a request, a query.
    let said: [String: JSONValue]
  }

  mutating func question() -> Question {
    let from: Int? = dice.chance(85) ? dice.pick(Array(Self.pods.indices)) : nil
    var to: Int? = from == nil || dice.chance(75) ? dice.pick(Array(Self.pods.indices)) : nil
    while to != nil, to == from { to = dice.pick(Array(Self.pods.indices)) }
    let family = dice.pick(Family.allCases)
    let isFar = dice.chance(40)
    func made(_ transport: String, _ port: Int, _ said: [String: JSONValue] = [:]) -> Question {
      Question(from: from, to: to, isFar: isFar, family: family, protocol: transport, port: port, said: said)
    }
    switch Int.random(in: 0..<100, using: &dice) {
    case ..<60:
      let said: [String: JSONValue] = [
        "method": .string(dice.pick(["GET", "PUT", "POST"])), "path": .string(dice.pick(["/", "/a", "/ab", "/b?a=1"])),
      ]
      return made("TCP", dice.pick(Prober.tcpPorts), said)
    case ..<75: return made("UDP", 53, ["query": .string(dice.pick(["a.b", "www.a.b", "b.a", "a-b.c"]))])
    case ..<85: return made("UDP", 5000)
    default: return family == .ipv4 ? made("ICMP", 8) : made("ICMPv6", 128)
    }
  }

  // MARK: Policies

  /// As many policies as `count`; the one at an index has the same kind, namespace and name in every set, so that a set
  /// replaces the one before.
  mutating func policies(_ count: Int) -> [JSONValue] {
    (0..<count).map { index in
      let namespace = index % 2 == 0 ? "a" : "b"
      var metadata: JSONValue = ["name": .string("p\(index)")]
      switch index % 10 {
      case 8:
        return [
          "apiVersion": "cilium.io/v2", "kind": "CiliumClusterwideNetworkPolicy", "metadata": metadata, "spec": spec(),
        ]
      case 9:
        metadata["namespace"] = .string(namespace)
        return [
          "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": kubernetesSpec(),
        ]
      default:
        metadata["namespace"] = .string(namespace)
        return ["apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": metadata, "spec": spec()]
      }
    }
  }

  private mutating func spec() -> JSONValue {
    var spec: JSONValue = ["endpointSelector": selector(isSubject: true)]
    let side = dice.pick(["ingress", "ingress", "egress"])
    spec[side] = dice.list([1, 1, 2]) { RandomTraffic.rule(&$0, isIngress: side == "ingress", isDeny: false) }
    if dice.chance(15) {
      spec["\(side)Deny"] = dice.list([1]) { RandomTraffic.rule(&$0, isIngress: side == "ingress", isDeny: true) }
    }
    if dice.chance(15) { spec["enableDefaultDeny"] = .object([side: .bool(dice.chance(30))]) }
    return spec
  }

  private mutating func selector(isSubject: Bool) -> JSONValue {
    RandomTraffic.selector(&dice, isSubject: isSubject)
  }

  private static func selector(_ dice: inout SeededGenerator, isSubject: Bool) -> JSONValue {
    var labels: JSONValue = [:]
    if isSubject || dice.chance(60) { labels["app"] = .string(dice.pick(["x", "y", "z"])) }
    if dice.chance(25) { labels["tier"] = .string(dice.pick(["1", "2"])) }
    if !isSubject, dice.chance(35) {
      labels["k8s:io.kubernetes.pod.namespace"] = .string(dice.pick(["a", "b"]))
    }
    var selector: JSONValue = ["matchLabels": labels]
    if dice.chance(10) {
      selector["matchExpressions"] = [["key": "tier", "operator": .string(dice.pick(["Exists", "DoesNotExist"]))]]
    }
    return selector
  }

  private static func rule(_ dice: inout SeededGenerator, isIngress: Bool, isDeny: Bool) -> JSONValue {
    let prefix = isIngress ? "from" : "to"
    var rule: JSONValue = [:]
    switch Int.random(in: 0..<100, using: &dice) {
    case ..<30: rule["\(prefix)Endpoints"] = dice.list([1, 1, 2]) { selector(&$0, isSubject: false) }
    case ..<42: rule["\(prefix)Entities"] = dice.list([1, 2]) { .string($0.pick(entities)) }
    case ..<48: rule["\(prefix)CIDR"] = dice.list([1, 2]) { .string($0.pick(blocks)) }
    case ..<54: rule["\(prefix)CIDRSet"] = dice.list([1]) { $0.pick(blockSets) }
    default: break
    }
    switch Int.random(in: 0..<100, using: &dice) {
    case ..<20: rule["toPorts"] = [["ports": dice.list([1, 2]) { port(&$0) }]]
    case ..<60 where !isDeny:
      rule["toPorts"] = [
        [
          "ports": dice.list([1, 2]) { ["port": .string($0.pick(["80", "81", "9080", "web"])), "protocol": "TCP"] },
          "rules": ["http": dice.list([1, 2]) { httpRule(&$0) }],
        ]
      ]
    case ..<80 where !isDeny && !isIngress:
      rule["toPorts"] = [
        [
          "ports": [["port": "53", "protocol": .string(dice.pick(["UDP", "ANY"]))]],
          "rules": ["dns": dice.list([1, 2]) { $0.pick(names) }],
        ]
      ]
    case ..<90: rule["icmps"] = dice.list([1]) { ["fields": $0.list([1, 2]) { $0.pick(icmps) }] }
    default: if rule == [:] { rule["\(prefix)Endpoints"] = [[:]] }
    }
    return rule
  }

  private static func port(_ dice: inout SeededGenerator) -> JSONValue {
    let text = dice.pick(["80", "81", "9080", "0", "53", "5000", "web"])
    var port: JSONValue = ["port": .string(text)]
    port["protocol"] = .string(dice.pick(["TCP", "TCP", "UDP", "ANY"]))
    if let number = Int64(text), number > 0, dice.chance(30) {
      port["endPort"] = .integer(number + dice.pick([1, 1000]))
    }
    return port
  }

  private static func httpRule(_ dice: inout SeededGenerator) -> JSONValue {
    var rule: JSONValue = [:]
    if dice.chance(70) { rule["method"] = .string(dice.pick(["GET", "PUT", "GET|POST", "P.*"])) }
    if dice.chance(60) { rule["path"] = .string(dice.pick(["/", "/a.*", "/(a|b).*", "/a+b?", ".*\\?a=1"])) }
    return rule
  }

  private mutating func kubernetesSpec() -> JSONValue {
    var spec: JSONValue = ["podSelector": ["matchLabels": ["app": .string(dice.pick(["x", "y", "z"]))]]]
    let side = dice.pick(["ingress", "egress"])
    spec["policyTypes"] = [side == "ingress" ? "Ingress" : "Egress"]
    spec[side] = dice.list([0, 1, 2]) { dice in
      var rule: JSONValue = [:]
      if dice.chance(70) {
        rule[side == "ingress" ? "from" : "to"] = dice.pick([
          [["podSelector": ["matchLabels": ["app": "x"]]]], [["namespaceSelector": [:]]],
          [["ipBlock": ["cidr": "192.0.2.0/24", "except": ["192.0.2.3/32"]]]],
        ])
      }
      if dice.chance(50) {
        rule["ports"] = dice.list([1, 2]) { ["port": $0.pick([80, 81, "web"]), "protocol": "TCP"] }
      }
      return rule
    }
    return spec
  }

  private static let entities = ["all", "world", "cluster", "host", "world-ipv4", "none"]
  private static let blocks = ["192.0.2.0/24", "192.0.2.2/32", "0.0.0.0/0", "2001:db8::/32", "2001:db8::3/128", "::/0"]
  private static let blockSets: [JSONValue] = [
    ["cidr": "192.0.2.0/24", "except": ["192.0.2.2/32"]], ["cidr": "2001:db8::/32", "except": ["2001:db8::2/128"]],
    ["cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]],
  ]
  private static let icmps: [JSONValue] = [
    ["type": 8], ["type": "EchoRequest", "family": "IPv6"], ["type": 13, "family": "IPv4"],
    ["type": 128, "family": "IPv6"],
  ]
  private static let names: [JSONValue] = [
    ["matchName": "a.b"], ["matchPattern": "*.a.b"], ["matchPattern": "*"], ["matchPattern": "a*.c"],
  ]
}
