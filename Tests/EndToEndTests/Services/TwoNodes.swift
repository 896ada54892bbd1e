import Glibc
import JSON

/// Two nodes and a client outside of both on one segment: 198.18.0.1, .2 and .3, fd18::1, ::2 and ::3. The second has its
/// pods in 10.245.0.0/16 and fd00:10:245::/64, to which the first knows the way.
struct TwoNodes {
  let first: Node
  let second: Node
  private var client: String { first.name + "c" }

  /// - Parameter arguments: those of the first node's `up`.
  static func with(_ arguments: [String], _ body: (TwoNodes) throws -> Void) throws {
    try Node.with(["--device", "segment"] + arguments) { first in
      try Node.with([
        "--device", "segment", "--pod-cidr", "10.245.0.0/16,fd00:10:245::/64", "--api-address", "127.0.0.1:6444",
      ]) { second in
        let nodes = TwoNodes(first: first, second: second)
        defer { _ = try? command(["ip", "netns", "del", nodes.client]) }
        try nodes.connect()
        try body(nodes)
      }
    }
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
  private func connect() throws {
    try must(["ip", "netns", "add", client])
    try must(["ip", "-n", client, "link", "add", "segment", "type", "bridge"])
    try must(["ip", "-n", client, "link", "set", "segment", "up"])
    try must(["ip", "-n", client, "addr", "add", "198.18.0.3/24", "dev", "segment"])
    try must(["ip", "-n", client, "addr", "add", "fd18::3/64", "dev", "segment", "nodad"])
    for (number, node) in [(1, first), (2, second)] {
      try must([
        "ip", "-n", node.name, "link", "add", "segment", "type", "veth", "peer", "name", "port\(number)", "netns",
        client,
      ])
      try must(["ip", "-n", client, "link", "set", "port\(number)", "up", "master", "segment"])
      try must(["ip", "-n", node.name, "addr", "add", "198.18.0.\(number)/24", "dev", "segment"])
      try must(["ip", "-n", node.name, "addr", "add", "fd18::\(number)/64", "dev", "segment", "nodad"])
      try must(["ip", "-n", node.name, "link", "set", "segment", "up"])
    }
    for (prefix, gateway) in [("10.245.0.0/16", "198.18.0.2"), ("fd00:10:245::/64", "fd18::2")] {
      for namespace in [first.name, client] {
        try must(["ip", "-n", namespace, "route", "add", prefix, "via", gateway])
      }
    }
    for (number, node) in [(1, first), (2, second)] {
      // Devices are looked for every ten seconds.
      let known = try eventually(within: 25) {
        try node.martlet("status").text.contains("segment (198.18.0.\(number), fd18::\(number))")
      }
      guard known else { throw Failure("\(node.name) does not find its device: \(try node.martlet("status"))") }
    }
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
