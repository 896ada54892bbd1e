import JSON

/// A pod, as people see it. Shares no type with the product: what the oracle reads must not come from what it judges.
struct WorldPod {
  struct Port {
    let name: String
    let number: UInt8
    let port: UInt16
  }

  var namespace: String
  var name: String
  var labels: [String: String]
  var account: String
  var ports: [Port]
  /// On the node under test; else its policy is another node's business.
  var isLocal: Bool
  let number: UInt8

  func address(ipv6: Bool) -> String { ipv6 ? "fd00:a::\(String(number, radix: 16))" : "10.200.0.\(number)" }
}

/// Something else with an address.
struct WorldHost: Hashable {
  /// `host`, `remote-node`, …; nil outside of the cluster.
  let entity: String?
  let v4: String?
  let v6: String?
  /// The name of the node that it is, where that is known.
  var node: String?

  static let all = [
    WorldHost(entity: "host", v4: "192.168.7.1", v6: "fd00:b::1", node: "n1"),
    WorldHost(entity: "remote-node", v4: "192.168.7.5", v6: "fd00:b::5", node: "n2"),
    WorldHost(entity: "remote-node", v4: "192.168.7.2", v6: "fd00:b::2"),
    WorldHost(entity: "kube-apiserver", v4: "192.168.7.3", v6: "fd00:b::3"),
    WorldHost(entity: "health", v4: "192.168.7.4", v6: "fd00:b::4"),
    WorldHost(entity: nil, v4: "10.1.2.3", v6: "2001:db8::1"),
    WorldHost(entity: nil, v4: "10.1.2.4", v6: "2001:db8::2"),
    WorldHost(entity: nil, v4: "10.1.9.9", v6: "2001:db8:8000::1"),
    WorldHost(entity: nil, v4: "10.9.9.9", v6: "2a00::1"),
    WorldHost(entity: nil, v4: "192.0.2.7", v6: "1::1"),
    WorldHost(entity: nil, v4: "8.8.8.8", v6: "64:ff9b::808:808"),
  ]
}

enum WorldEnd {
  case pod(WorldPod)
  case host(WorldHost)

  func address(ipv6: Bool) -> String? {
    switch self {
    case .pod(let pod): pod.address(ipv6: ipv6)
    case .host(let host): ipv6 ? host.v6 : host.v4
    }
  }

  var name: String {
    switch self {
    case .pod(let pod): "\(pod.namespace)/\(pod.name)"
    case .host(let host): host.entity ?? "the world"
    }
  }
}

/// All that verdicts depend on.
struct World {
  var pods: [WorldPod]
  var policies: [JSONValue]
  /// What policies refer to: CiliumCIDRGroups, Services and the Endpoints of those without a selector.
  var objects: [JSONValue] = []
  /// Of each node.
  var nodeLabels: [String: [String: String]] = ["n1": [:], "n2": [:]]

  static func namespaceLabels(_ namespace: String) -> [String: String] {
    ["team": "team-\(namespace)", "kubernetes.io/metadata.name": namespace]
  }
}

/// The first packet of a connection, and what is then said on it.
struct Question {
  var from: WorldEnd
  var to: WorldEnd
  var ipv6: Bool
  /// IPPROTO_*.
  var number: UInt8
  /// ICMP: the type.
  var port: UInt16

  static let requests = [("GET", "/"), ("GET", "/a"), ("PUT", "/ab"), ("POST", "/b?a=1"), ("GET", "/aab")]
  static let names = ["a.b", "www.a.b", "b.a", "a-b.c"]
  static let serverNames = ["a.b", "www.a.b", "x.www.a.b", "b.a", "a-b.c"]

  var text: String {
    let protocols: [UInt8: String] = [6: "TCP", 17: "UDP", 132: "SCTP", 1: "ICMP", 58: "ICMPv6"]
    let ends = [from, to].map { "\($0.name) (\($0.address(ipv6: ipv6) ?? "?"))" }
    return "\(ends[0]) -> \(ends[1]) \(protocols[number] ?? "?") \(port)"
  }
}

/// What becomes of it.
enum Fate: Hashable, CustomStringConvertible {
  case forwarded
  /// A deny rule.
  case denied
  /// No rule allows it.
  case notAllowed
  /// It would have to be read as two protocols, or nobody can.
  case unreadable
  /// To the proxy, which lets these of `Question.requests` pass.
  case requests([Bool])
  /// To the proxy, which lets these of `Question.names` be asked for.
  case names([Bool])
  /// To the proxy, which lets these of `Question.serverNames` be connected to.
  case serverNames([Bool])

  var description: String {
    switch self {
    case .forwarded: "forwarded"
    case .denied: "denied by a rule"
    case .notAllowed: "allowed by no rule"
    case .unreadable: "can not be read"
    case .requests(let allowed): "requests \(zip(Question.requests, allowed).filter(\.1).map { "\($0.0.0) \($0.0.1)" })"
    case .serverNames(let allowed):
      "servers \(zip(Question.serverNames, allowed).filter(\.1).map(\.0))"
    case .names(let allowed): "names \(zip(Question.names, allowed).filter(\.1).map(\.0))"
    }
  }
}
