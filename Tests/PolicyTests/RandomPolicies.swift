import JSON
import Labels
import Policy
import TestSupport

extension SeededGenerator {
  mutating func list<Element>(_ range: ClosedRange<Int>, _ make: (inout SeededGenerator) -> Element) -> [Element] {
    (0..<Int.random(in: range, using: &self)).map { _ in make(&self) }
  }
}

/// Makes clusters and policies of a small vocabulary, so that what they say overlaps often.
struct RandomPolicies {
  var random: SeededGenerator
  /// Of 100 rules, how many use a field that is not enforced.
  var unsupported = 5

  init(seed: Int) { random = SeededGenerator(seed: seed) }

  mutating func cluster() -> Cluster {
    var cluster = Cluster()
    for index in 0..<7 {
      var ports: Set<NamedPort> = []
      if random.chance(60) { ports.insert(NamedPort(name: "web", protocol: 6, port: random.pick([80, 81, 90]))) }
      if random.chance(30) { ports.insert(NamedPort(name: "dns", protocol: 17, port: 53)) }
      cluster.add(random.pick(["a", "b"]), "p\(index)", labels(), account: random.pick(["s", "t"]), ports: ports)
    }
    return cluster
  }

  mutating func labels() -> LabelSet {
    var labels = ["app": random.pick(["x", "y", "z"])]
    if random.chance(50) { labels["tier"] = random.pick(["1", "2"]) }
    return labels
  }

  mutating func policy(_ name: String) -> JSONValue {
    var spec: JSONValue = ["endpointSelector": selector(subject: true)]
    let sides = ["ingress", "ingressDeny", "egress", "egressDeny"]
    for side in sides where random.chance(side.hasSuffix("Deny") ? 25 : 60) { addRules(side, &spec) }
    if sides.allSatisfy({ spec[$0] == nil }) { addRules("ingress", &spec) }
    if random.chance(15) {
      spec["enableDefaultDeny"] = ["ingress": .bool(random.chance(50)), "egress": .bool(random.chance(50))]
    }
    return PolicyTests.policy(name, namespace: random.pick(["a", "b", nil]), spec: spec)
  }

  private mutating func addRules(_ side: String, _ spec: inout JSONValue) {
    let ingress = side.hasPrefix("ingress")
    let deny = side.hasSuffix("Deny")
    var rules: [JSONValue] = []
    for _ in 0..<Int.random(in: 1...2, using: &random) { rules.append(rule(ingress: ingress, deny: deny)) }
    spec[side] = .array(rules)
  }

  private mutating func rule(ingress: Bool, deny: Bool) -> JSONValue {
    let prefix = ingress ? "from" : "to"
    var rule: JSONValue = [:]
    switch Int.random(in: 0..<100, using: &random) {
    case ..<40: rule["\(prefix)Endpoints"] = .array(list(0...2) { $0.selector(subject: false) })
    case ..<55: rule["\(prefix)Entities"] = .array(list(1...2) { $0.entity() })
    case ..<65: rule["\(prefix)CIDR"] = .array(list(1...2) { .string($0.random.pick(Self.cidrs)) })
    case ..<80: rule["\(prefix)CIDRSet"] = [cidrSet()]
    default: break
    }
    switch Int.random(in: 0..<100, using: &random) {
    case ..<60: rule["toPorts"] = .array(list(1...2) { $0.toPort(http: ingress && !deny) })
    case ..<70:
      rule["icmps"] = [
        ["fields": [["type": .integer(random.pick([8, 128])), "family": .string(random.pick(["IPv4", "IPv6"]))]]]
      ]
    default: break
    }
    if random.chance(unsupported) { addUnsupported(prefix, deny: deny, &rule) }
    return rule
  }

  private mutating func addUnsupported(_ prefix: String, deny: Bool, _ rule: inout JSONValue) {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: rule["\(prefix)Requires"] = [["matchLabels": ["app": "x"]]]
    case 1 where !deny: rule["authentication"] = ["mode": .string(random.pick(["required", "disabled"]))]
    case 2 where prefix == "to":
      for field in ["Endpoints", "Entities", "CIDR", "CIDRSet"] { rule[prefix + field] = nil }
      rule["toServices"] = [["k8sService": ["serviceName": "s", "namespace": "a"]]]
    default:
      for field in ["Endpoints", "Entities", "CIDR", "CIDRSet"] { rule[prefix + field] = nil }
      rule["\(prefix)Nodes"] = [["matchLabels": ["zone": "1"]]]
    }
  }

  private mutating func list(_ range: ClosedRange<Int>, _ make: (inout RandomPolicies) -> JSONValue) -> [JSONValue] {
    let count = Int.random(in: range, using: &random)
    var list: [JSONValue] = []
    for _ in 0..<count { list.append(make(&self)) }
    return list
  }

  static let cidrs = [
    "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "0.0.0.0/0", "192.0.2.0/24", "2001:db8::/32",
    "2001:db8::1/128", "::/0", "::/8",
  ]

  private mutating func cidrSet() -> JSONValue {
    random.pick(
      [
        ["cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]],
        ["cidr": "10.1.0.0/16", "except": ["10.1.2.0/24", "10.1.9.0/24"]],
        ["cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]], ["cidr": "2001:db8::/32", "except": ["2001:db8::1/128"]],
        ["cidr": "10.1.2.0/24"],
      ] as [JSONValue])
  }

  private mutating func entity() -> JSONValue {
    .string(random.pick(["all", "world", "cluster", "host", "remote-node", "kube-apiserver", "health", "none"]))
  }

  mutating func selector(subject: Bool) -> JSONValue {
    var labels: JSONValue = [:]
    var expressions: [JSONValue] = []
    if random.chance(60) {
      labels[random.pick(["app", "k8s:app", "any:app"])] = .string(random.pick(["x", "y", "z"]))
    }
    if random.chance(20) {
      expressions.append([
        "key": "tier", "operator": .string(random.pick(["In", "NotIn"])),
        "values": .array([.string(random.pick(["1", "2"]))]),
      ])
    }
    if random.chance(15) {
      expressions.append(["key": "tier", "operator": .string(random.pick(["Exists", "DoesNotExist"]))])
    }
    if !subject {
      if random.chance(20) { labels["k8s:io.kubernetes.pod.namespace"] = .string(random.pick(["a", "b"])) }
      if random.chance(10) { labels["io.cilium.k8s.policy.serviceaccount"] = .string(random.pick(["s", "t"])) }
      if random.chance(10) {
        labels["k8s:io.cilium.k8s.namespace.labels.team"] = .string(random.pick(["team-a", "team-b"]))
      }
      if random.chance(5) {
        return ["matchLabels": .object([random.pick(["reserved:host", "reserved:world-ipv4"]): ""])]
      }
    }
    var selector: JSONValue = [:]
    if labels != [:] { selector["matchLabels"] = labels }
    if !expressions.isEmpty { selector["matchExpressions"] = .array(expressions) }
    return selector
  }

  private mutating func toPort(http: Bool) -> JSONValue {
    let http = http && random.chance(50)
    var ports: [JSONValue] = []
    for _ in 0..<Int.random(in: 1...2, using: &random) { ports.append(port(http: http)) }
    var rule: JSONValue = ["ports": .array(ports)]
    if http {
      rule["rules"] = ["http": .array(list(1...2) { ["method": .string($0.random.pick(["GET", "PUT", "POST"]))] })]
    }
    return rule
  }

  private mutating func port(http: Bool) -> JSONValue {
    var port: JSONValue = ["port": .string(random.pick(http ? ["80", "81", "90"] : ["80", "81", "90", "0", "53"]))]
    if http || random.chance(70) {
      port["protocol"] = .string(http ? "TCP" : random.pick(["TCP", "UDP", "ANY", "SCTP"]))
    }
    if random.chance(20) { port["port"] = .string(random.pick(["web", "dns"])) }
    if let text = port["port"]?.stringValue, let number = Int64(text), number > 0, random.chance(30) {
      port["endPort"] = .integer(number + random.pick([1, 9, 47, 1000, 60000]))
    }
    return port
  }
}
