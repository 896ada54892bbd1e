import Glibc
import JSON

/// Two nodes and a client outside of both on one segment: 198.18.0.1, .2 and .3, fd18::1, ::2 and ::3. The second has its
/// pods in 10.245.0.0/16 and fd00:10:245::/64, to which the first knows the way.
struct TwoNodes {
  let first: Node
  let second: Node
  private let client: String

  /// - Parameter arguments: those of the first node's `up`.
  static func with(_ arguments: [String], _ body: (TwoNodes) throws -> Void) throws {
    var client = ""
    defer { _ = try? command(["ip", "netns", "del", client]) }
    let first = try Node(["--device", "segment"] + arguments) { name in
      client = name + "c"
      try makeSegment(client)
      try join(name, 1, client)
    }
    defer { first.stop() }
    let pods = [("10.245.0.0/16", "198.18.0.2"), ("fd00:10:245::/64", "fd18::2")]
    let second = try Node([
      "--device", "segment", "--pod-cidr", pods.map(\.0).joined(separator: ","), "--api-address", "127.0.0.1:6444",
    ]) { try join($0, 2, client) }
    defer { second.stop() }
    for (prefix, gateway) in pods {
      for namespace in [first.name, client] {
        try must(["ip", "-n", namespace, "route", "add", prefix, "via", gateway])
      }
    }
    try body(TwoNodes(first: first, second: second, client: client))
  }

  func address(ofNode number: Int, _ family: Family) -> String {
    family == .ipv4 ? "198.18.0.\(number)" : "fd18::\(number)"
  }

  func clientAddress(_ family: Family) -> String { address(ofNode: 3, family) }

  /// Runs a Python program in the client's namespace.
  func onClient(_ program: String, _ arguments: [String]) throws -> Outcome {
    try command(["ip", "netns", "exec", client, "python3", "-c", program] + arguments)
  }

  func startOnClient(_ program: String, _ arguments: [String], output: String) throws -> Child {
    try Child(
      ["ip", "netns", "exec", client, "python3", "-c", program] + arguments, output: output, errors: output)
  }

  /// A bridge in the client's namespace, on which all three are.
  private static func makeSegment(_ client: String) throws {
    try must(["ip", "netns", "add", client])
    try must(["ip", "-n", client, "link", "add", "segment", "type", "bridge"])
    try must(["ip", "-n", client, "link", "set", "segment", "up"])
    try must(["ip", "-n", client, "addr", "add", "198.18.0.3/24", "dev", "segment"])
    try must(["ip", "-n", client, "addr", "add", "fd18::3/64", "dev", "segment", "nodad"])
  }

  private static func join(_ node: String, _ number: Int, _ client: String) throws {
    try must([
      "ip", "-n", node, "link", "add", "segment", "type", "veth", "peer", "name", "port\(number)", "netns", client,
    ])
    try must(["ip", "-n", client, "link", "set", "port\(number)", "up", "master", "segment"])
    try must(["ip", "-n", node, "addr", "add", "198.18.0.\(number)/24", "dev", "segment"])
    try must(["ip", "-n", node, "addr", "add", "fd18::\(number)/64", "dev", "segment", "nodad"])
    try must(["ip", "-n", node, "link", "set", "segment", "up"])
  }
}

extension Node {
  /// Tells the cluster of another node, without pods.
  func know(other name: String, at addresses: [String]) throws {
    try apply("apiVersion: v1\nkind: Node\nmetadata: {name: \(name)}")
    let list = addresses.map { #"{"type": "InternalIP", "address": "\#($0)"}"# }.joined(separator: ", ")
    let patched = try kubectl(
      "patch", "node", name, "--subresource=status", "--type=merge", "-p", #"{"status": {"addresses": [\#(list)]}}"#)
    guard patched.status == 0 else { throw Failure("kubectl patch node \(name): \(patched)") }
  }
}
