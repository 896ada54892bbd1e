import JSON
import Testing

extension EndToEnd {
  /// What others remove of the datapath comes back by itself.
  @Suite(
    .serialized,
    .node(upArguments: ["--device", "world"], prepareRatings))
  struct RepairTests {
    private static let attempts = [
      Attempt.refused(.pod("sleep"), .pod("ratings")), .allowed(.pod("reviews"), .pod("ratings")),
    ]

    private func device(of pod: String, _ node: Node) throws -> String {
      let endpoints = try node.martlet("endpoint", "list", "-o", "json").json().arrayValue ?? []
      return endpoints.first { $0["pod"]?.stringValue == pod }?["ifname"]?.stringValue ?? ""
    }

    private func repairs(_ node: Node, _ part: String) throws -> Double {
      try node.metrics(9962)["martlet_datapath_repairs_total{part=\"\(part)\"}"] ?? -1
    }

    @Test func `the rule of the packets for the proxy`() throws {
      let node = try SharedNode.node
      let before = try repairs(node, "rule")
      try must(["ip", "-n", node.name, "rule", "del", "priority", "9"])
      try must(["ip", "-n", node.name, "-6", "rule", "del", "priority", "9"])
      try must(["ip", "-n", node.name, "route", "flush", "table", "2005"])
      #expect(try eventually(within: 20) { try node.surprises(RepairTests.attempts) == [] })
      #expect(try repairs(node, "rule") == before + 2)
      #expect(try node.martlet("status").output.contains("put back"))
    }

    @Test func `a pod's programs, and meanwhile nothing is called enforced`() throws {
      let node = try SharedNode.node
      for pod in ["ratings", "sleep", "reviews"] {
        try must(["tc", "-n", node.name, "qdisc", "del", "dev", try device(of: pod, node), "clsact"])
      }
      let listed = try node.martlet("endpoint", "list", "-o", "json").json().arrayValue ?? []
      let ratings = listed.first { $0["pod"] == "ratings" }
      let isBack = try repairs(node, "pod_programs") > 0
      #expect(isBack || ratings?["enforcesIngress"] == false, "\(listed)")
      #expect(try eventually(within: 20) { try node.surprises(RepairTests.attempts) == [] })
      // The filter alone.
      try must(["tc", "-n", node.name, "filter", "del", "dev", try device(of: "ratings", node), "egress"])
      try must(["tc", "-n", node.name, "filter", "del", "dev", try device(of: "sleep", node), "ingress"])
      #expect(try eventually(within: 20) { try node.surprises(RepairTests.attempts) == [] })
      let state = try node.martlet("endpoint", "list", "-o", "json").json().arrayValue ?? []
      #expect(state.first { $0["pod"] == "ratings" }?["enforcesIngress"] == true)
      #expect(node.log.contains("missing and put back: the programs of pod"))
    }

    @Test func `links of the node`() throws {
      let node = try SharedNode.node
      let agent = try #require(node.pid(of: "agent"))
      let root = "/sys/fs/bpf/martlet/" + instance(of: node.state)
      for link in ["devices/world/ingress", "sockets/sock4_connect", "proxy_lookup"] {
        let outcome = try command(
          ["nsenter", "-t", "\(agent)", "-m", "bpftool", "link", "detach", "pinned", "\(root)/\(link)"])
        #expect(outcome.status == 0, "\(link): \(outcome)")
      }
      for part in ["device_programs", "socket_programs", "proxy_lookup"] {
        #expect(try eventually(within: 25) { try repairs(node, part) > 0 }, "\(part)\n\(node.log.suffix(2000))")
      }
      #expect(try eventually(within: 20) { try node.martlet("status").status == 0 })
    }

    /// As the state directory's instance is named.
    private func instance(of directory: String) -> String {
      let hash = directory.utf8.reduce(0x811c_9dc5 as UInt32) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
      let digits = String(hash, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }
  }
}
