import Glibc
import JSON
import TestSupport
import Testing

/// Two policies for the same pod: one that only denies by default, and one with more ports than its map holds.
private let denial = """
  apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: denial}
  spec:
    endpointSelector: {matchLabels: {app: ratings}}
    egress: [{}]
  """
private let manyPorts = """
  apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: many-ports}
  spec:
    endpointSelector: {matchLabels: {app: ratings}}
    ingress:
      - toPorts:
          - ports: [\(stride(from: 9081, through: 9121, by: 2).map { "{port: \"\($0)\", protocol: TCP}" }.joined(separator: ", ")), {port: "9080", protocol: TCP}]
  """
/// The first names more blocks of addresses than the ipcache holds; the second needs one of its own.
private let manyBlocks = """
  apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: many-blocks}
  spec:
    endpointSelector: {matchLabels: {app: nobody}}
    egress: [{toCIDR: [\((0..<40).map { "198.51.\($0).0/24" }.joined(separator: ", "))]}]
  """
private let oneBlock = """
  apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: one-block}
  spec:
    endpointSelector: {matchLabels: {app: sleep}}
    egress: [{toEntities: [all]}]
    egressDeny: [{toCIDR: [192.0.2.3/32]}]
  """

extension EndToEnd {
  /// Tables of the kernel that are full: what can not be enforced as written is denied, everybody says so, and all is
  /// well again by itself when there is room.
  @Suite(.serialized) struct FullTableTests {
    private func withNode(_ sizes: String, _ body: (Node) throws -> Void) throws {
      let directory = try TemporaryDirectory.make("e2e-sizes")
      defer { TemporaryDirectory.remove(directory) }
      try write("maps: {\(sizes)}\n", to: directory + "/up.yaml")
      try Node.with(["--config", directory + "/up.yaml"]) { node in
        try node.runServer("ratings", labels: "app=ratings")
        try node.runPod("sleep", labels: "app=sleep")
        try body(node)
      }
    }

    private func applyWithoutWaiting(_ node: Node, _ manifests: String...) throws {
      for manifest in manifests { try #require(try node.kubectl("apply", "-f", "-", stdin: manifest).status == 0) }
    }

    /// state and first problem of a policy, as `policy get` has them.
    private func outcome(_ node: Node, _ name: String) throws -> String {
      let all = try node.martlet("policy", "get", "-o", "json").json().arrayValue ?? []
      let policy = all.first { $0["name"]?.stringValue == name }
      return
        "\(policy?["state"]?.stringValue ?? "") \(policy?["problems"]?.arrayValue?.first?["message"]?.stringValue ?? "")"
    }

    /// One port in each family, so each takes two entries; the API server's own has its share, too.
    @Test func `a Service that finds no room is told of and taken up later`() throws {
      try withNode("services: 6") { node in
        let services = ["one", "two", "three"].map { name in
          """
          apiVersion: v1
          kind: Service
          metadata: {name: \(name)}
          spec: {ipFamilyPolicy: RequireDualStack, selector: {app: ratings}, ports: [{port: 80, targetPort: http}]}
          """
        }
        for service in services { try applyWithoutWaiting(node, service) }
        func answers(_ name: String, _ family: Family) throws -> Bool {
          let address = try node.clusterIP(name, family)
          let url = "http://\(family == .ipv4 ? address : "[\(address)]"):80/ratings/0"
          return try node.run(Node.requestCommand(url, timeout: 0.5), at: .pod("sleep")).status == 0
        }
        let isTold = try eventually(within: 20) {
          let (isGood, message) = try component(node, "Services")
          return !isGood && message.contains("three") && message.contains("martlet_services is full: it holds 6")
        }
        let said = try component(node, "Services")
        #expect(isTold, "\(said)")
        #expect(try node.service("three")?["refusal"]?.stringValue?.contains("full") == true)
        for family in Family.allCases {
          for (name, isInForce) in [("one", true), ("two", true), ("three", false)] {
            #expect(try eventually(within: 20) { try answers(name, family) == isInForce }, "\(name), \(family)")
          }
        }
        try node.delete(services[0])
        for family in Family.allCases {
          #expect(try eventually(within: 20) { try answers("three", family) }, "\(family)")
        }
        #expect(try component(node, "Services").isGood)
      }
    }

    private func component(_ node: Node, _ name: String) throws -> (isGood: Bool, message: String) {
      let all = try node.martlet("status", "-o", "json").json()["components"]?.arrayValue ?? []
      let component = all.first { $0["name"]?.stringValue == name }
      return (component?["ok"]?.boolValue ?? false, component?["message"]?.stringValue ?? "")
    }

    @Test func `a policy larger than its map`() throws {
      try withNode("policyEntries: 20") { node in
        let arrives = [Attempt.allowed(.pod("sleep"), .pod("ratings"))]
        let fails = [Attempt.refused(.pod("sleep"), .pod("ratings"))]
        #expect(try node.surprises(arrives) == [])
        try applyWithoutWaiting(node, denial, manyPorts)
        let wait = try node.martlet("policy", "wait", "--timeout", "1s")
        #expect(wait.status == 1 && wait.errors.contains("its map holds 20"), "\(wait)")
        #expect(try node.surprises(fails) == [], "the old policy is not what applies")
        for name in ["denial", "many-ports"] {
          #expect(try outcome(node, name).hasPrefix("partly identity "), "\(name)")
          let condition = try node.kubectl(
            "wait", "cnp/\(name)", "--for=condition=Enforced=False", "--timeout=5s")
          #expect(condition.status == 0, "\(condition)")
        }
        let policies = try component(node, "Policy")
        #expect(!policies.isGood && policies.message.contains("its map holds 20"))
        #expect(try node.metrics(9962)["martlet_policy_refused_identities"] == 1)
        let said = try eventually(within: 20) {
          let events = try node.kubectl("get", "events").output
          return events.contains("ciliumnetworkpolicy/denial") && events.contains("IdentityDenied")
        }
        #expect(said)

        try node.delete(manyPorts)
        #expect(try outcome(node, "denial") == "accepted ")
        #expect(try node.surprises(arrives) == [])
        #expect(try component(node, "Policy").isGood)
        let condition = try node.kubectl("wait", "cnp/denial", "--for=condition=Enforced", "--timeout=5s")
        #expect(condition.status == 0, "\(condition)")
      }
    }

    @Test func `an ipcache without room`() throws {
      try withNode("ipcache: 32") { node in
        let server = try node.serverInWorld(port: 9080)
        defer {
          server.signal(SIGKILL)
          server.wait()
        }
        try node.apply(oneBlock)
        let asWritten = [
          Attempt.allowed(.pod("sleep"), .world), .allowed(.pod("sleep"), .pod("ratings")),
        ]
        #expect(try node.surprises(asWritten) == [])
        try applyWithoutWaiting(node, manyBlocks)
        let refused = try eventually(within: 20) { try outcome(node, "one-block").contains("no room for 192.0.2.3/32") }
        #expect(refused)
        #expect(try node.surprises([.refused(.pod("sleep"), .world), .refused(.pod("sleep"), .farWorld)]) == [])
        // Whoever does not tell that block from others is served as ever.
        #expect(try node.surprises([.allowed(.world, .pod("ratings"))]) == [])
        #expect(try node.metrics(9962)["martlet_ipcache_missing_blocks"] ?? 0 > 0)
        #expect(try !component(node, "Tables").isGood)
        try node.delete(manyBlocks)
        #expect(try outcome(node, "one-block") == "accepted ")
        #expect(try node.surprises(asWritten) == [])
      }
    }

    @Test func `more identities and pods than fit`() throws {
      try withNode("policies: 2, endpoints: 6") { node in
        try node.runPod("third", labels: "app=third")
        #expect(try node.surprises([.refused(.pod("third"), .pod("ratings"))]) == [], "it has no policy: it is denied")
        #expect(try component(node, "Policy").message.contains("it is full"))
        let fourth = try node.martlet(
          "run", "--name", "fourth", "--timeout", "3s", "--detach", "--", "sleep", "infinity")
        #expect(fourth.status != 0)
        #expect(try !component(node, "Tables").isGood)
        // Their places are free when another goes, without anybody asking.
        try must(
          [
            "ip", "netns", "exec", node.name, "kubectl", "--kubeconfig", node.state + "/kubeconfig", "delete", "pod",
            "sleep",
          ])
        let recovers = try eventually(within: 40, every: 500_000) {
          try node.request(from: .pod("third"), to: .pod("ratings"), family: .ipv4, timeout: 1) == "200"
        }
        #expect(recovers)
        let ready = try node.kubectl("wait", "pod/fourth", "--for=condition=Ready", "--timeout=30s")
        #expect(ready.status == 0, "\(ready)")
      }
    }

    @Test func `a full connection table keeps what lives and recovers`() throws {
      try withNode("connections: 128") { node in
        let script = """
          import socket, sys, time
          server = sys.argv[1]
          kept = socket.create_connection((server, 9080))
          kept.settimeout(2)
          def ask():
              kept.sendall(b"GET /ratings/0 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
              return kept.recv(4096).startswith(b"HTTP/1.1 200")
          assert ask()
          sockets = []
          for _ in range(500):
              sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
              sockets[-1].sendto(b"x", (server, 9999))
          assert ask()
          start = time.time()
          while True:
              new = socket.socket()
              new.settimeout(0.1)
              try:
                  new.connect((server, 9080))
                  break
              except OSError:
                  pass
              finally:
                  new.close()
          assert ask()
          print("recovered after %.1f s" % (time.time() - start))
          """
        let ratings = try node.address(of: "ratings", .ipv4)
        let flood = try node.exec("sleep", ["timeout", "30", "python3", "-c", script, ratings])
        #expect(flood.status == 0, "\(flood)")
        // A grace of two seconds, and a look at least every fifth of one.
        let seconds = flood.text.split(separator: " ").compactMap { Double($0) }.first
        #expect((seconds ?? .infinity) < 5, "\(flood)")
        let metrics = try node.metrics(9962)
        #expect(
          metrics["martlet_drop_count_total{direction=\"EGRESS\",reason=\"CT_MAP_INSERTION_FAILED\"}"] ?? 0 > 300)
        #expect(metrics["martlet_datapath_conntrack_gc_removed_total{reason=\"pressure\"}"] ?? 0 > 0)
        let said = try eventually(within: 20) {
          try node.kubectl("get", "events").output.contains("martlet_conntrack has no room")
        }
        #expect(said)
      }
    }
  }
}
