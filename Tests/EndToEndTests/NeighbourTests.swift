import Glibc
import JSON
import TestSupport
import Testing

private let neighbourPolicies = """
  apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: ratings}
  spec:
    endpointSelector: {matchLabels: {app: ratings}}
    ingress: [{fromEndpoints: [{matchLabels: {app: reviews}}]}]
  ---
  apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: productpage}
  spec:
    endpointSelector: {matchLabels: {app: productpage}}
    ingress:
      - fromEndpoints: [{matchLabels: {app: reviews}}]
        toPorts: [{ports: [{port: "9080", protocol: TCP}], rules: {http: [{method: GET}]}}]
  """

/// What a proxy lets through is judged by the other instance's policy nevertheless.
private let readSleep = """
  apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: sleep}
  spec:
    endpointSelector: {matchLabels: {app: sleep}}
    egress:
      - toPorts: [{ports: [{port: "9080", protocol: TCP}], rules: {http: [{method: GET}]}}]
  """

extension EndToEnd {
  /// Instances that share a network namespace.
  @Suite(.serialized) struct NeighbourTests {
    private func prepare(_ node: Node) throws {
      try node.runServer("ratings", labels: "app=ratings")
      try node.runServer("productpage", labels: "app=productpage", role: "productpage")
      try node.runServer("open", labels: "app=open")
      try node.runPod("reviews", labels: "app=reviews")
      try node.runPod("sleep", labels: "app=sleep")
      try node.apply(neighbourPolicies)
    }

    private func expectPolicy(_ node: Node, _ when: String) throws {
      #expect(
        try node.surprises([
          .allowed(.pod("reviews")), .refused(.pod("sleep")), .refused(.pod("sleep"), .pod("productpage")),
          .allowed(.pod("sleep"), .pod("open")),
        ]) == [], "\(when)")
      for family in Family.allCases {
        for (method, status) in [("GET", "200"), ("POST", "403")] {
          #expect(
            try node.request(from: .pod("reviews"), to: .pod("productpage"), method: method, family: family) == status,
            "\(when), \(method), \(family)")
        }
      }
      let status = try node.martlet("status")
      #expect(status.status == 0, "\(when): \(status)")
    }

    @Test func `two instances in one network namespace do not meet`() throws {
      try Node.with { one in
        let other = try Node(beside: one)
        defer { other.stop() }
        for node in [one, other] { try prepare(node) }
        for node in [one, other] { try expectPolicy(node, "both are there") }
        let ports = try [one, other].map { node in
          let server = try node.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}").text
          #expect(try node.martlet("status").output.contains(server))
          return server
        }
        #expect(ports == ["https://127.0.0.1:6443", "https://127.0.0.1:6444"])
        #expect(try other.address(of: "ratings", .ipv4).hasPrefix("10.245."))
        #expect(try other.address(of: "ratings", .ipv6).hasPrefix("fd00:10:245:"))
        #expect(try other.metrics(9972)["martlet_endpoint_state{endpoint_state=\"ready\"}"] == 5)

        let alive = try Steady(other)
        defer { alive.end() }
        one.crash()
        try alive.expectAlive("the first is killed")
        try expectPolicy(other, "the first is killed")
        try one.start()
        try expectPolicy(other, "the first is back")
        // Its pods outlived it.
        try expectPolicy(one, "the first is back")
        try one.runPod("late", labels: "app=reviews")
        #expect(try one.address(of: "late", .ipv4).hasPrefix("10.244."), "its blocks are the same again")
        #expect(try one.surprises([.allowed(.pod("late"))]) == [])
        let traces = [Traces(of: one), Traces(of: other)]
        #expect(try one.martlet("down").status == 0)
        try expectPolicy(other, "the first is down")
        try alive.expectAlive("the first is down")
        alive.end()
        #expect(alive.answers == ["200"], "\(alive.answers)")

        #expect(try other.martlet("down").status == 0)
        defer { for trace in traces { trace.sweep() } }
        try expectNothing(in: one, traces)
      }
    }

    private func expectNothing(in node: Node, _ traces: [Traces]) throws {
      let links = try node.onNode(["ip", "-o", "link"]).output
      #expect(!links.contains(": mlt"), "\(links)")
      for family in ["-4", "-6"] {
        let rules = try node.onNode(["ip", family, "rule"]).output
        #expect(!rules.contains("2005"), "\(rules)")
        let routes = try node.onNode(["ip", family, "route", "show", "table", "all"]).output
        for trace in ["2005", "10.244.", "10.245.", "fd00:10:24"] { #expect(!routes.contains(trace), "\(routes)") }
      }
      for trace in traces {
        #expect(entries(of: "/run/netns").intersection(trace.namespaces) == [])
        #expect(trace.processes == [:])
        for path in trace.pins + trace.groups { #expect(access(path, F_OK) != 0, "\(path)") }
      }
    }

    /// A pod's request to the other instance's pod is judged at both ends, by the one instance and by the other.
    @Test func `pods of two instances are the world to each other`() throws {
      try Node.with { one in
        let other = try Node(beside: one)
        defer { other.stop() }
        for node in [one, other] { try prepare(node) }
        func status(_ client: String, _ server: String, _ family: Family, _ method: String = "GET") throws -> String {
          let url = try other.url(of: .pod(server), family)
          let outcome = try one.run(
            Node.requestCommand(url, method: method, timeout: 1, statusOnly: true), at: .pod(client))
          return outcome.status == 0 ? outcome.text : "none"
        }
        for family in Family.allCases {
          #expect(try status("reviews", "open", family) == "200")
          #expect(try status("reviews", "ratings", family) == "none", "labels are those of one instance")
        }
        try one.apply(readSleep)
        for family in Family.allCases {
          #expect(try status("sleep", "open", family) == "200")
          #expect(try status("sleep", "open", family, "POST") == "403")
          #expect(try status("sleep", "ratings", family) != "200", "its proxy does not get past the other's policy")
        }
        // Whoever ends does not take the namespace's rules with it.
        other.stop()
        try expectPolicyOfReader(one)
      }
    }

    private func expectPolicyOfReader(_ node: Node) throws {
      for family in Family.allCases {
        #expect(try node.request(from: .pod("sleep"), to: .pod("open"), family: family) == "200")
        #expect(try node.request(from: .pod("sleep"), to: .pod("open"), method: "POST", family: family) == "403")
      }
    }

    /// Programs of the node itself reach the Services of both, as each has a block of its own.
    @Test func `the node's own programs reach the Services of both`() throws {
      let service = """
        apiVersion: v1
        kind: Service
        metadata: {name: open}
        spec:
          ipFamilyPolicy: RequireDualStack
          selector: {app: open}
          ports: [{port: 80, targetPort: 9080}]
        """
      try Node.with { one in
        let other = try Node(beside: one)
        defer { other.stop() }
        for (node, block) in [(one, "10.96."), (other, "10.97.")] {
          try node.runServer("open", labels: "app=open")
          try node.apply(service)
          let addresses = try node.kubectl("get", "svc", "open", "-o", "jsonpath={.spec.clusterIPs[*]}").text
            .split(separator: " ")
          #expect(addresses.count == 2 && addresses[0].hasPrefix(block), "\(addresses)")
          for address in addresses {
            let url = address.contains(":") ? "http://[\(address)]/ratings/0" : "http://\(address)/ratings/0"
            for place in [Place.host, .pod("open")] {
              let answers = try eventually(within: 20) {
                try node.run(Node.requestCommand(url, timeout: 1, statusOnly: true), at: place).text == "200"
              }
              #expect(answers, "\(url) from \(place)")
            }
          }
        }
      }
    }

    /// What can not be shared is refused when it is asked for by name.
    @Test func `what another instance has is refused, and by whom it is had is said`() throws {
      try Node.with(["--device", "world"]) { node in
        for (arguments, complaint) in [
          (["--device", "world"], "--device: the `martlet up` with the state directory \(node.state) has \"world\""),
          (["--pod-cidr", "10.244.128.0/20,fd99::/64"], "--pod-cidr 10.244.128.0/20 overlaps 10.244.0.0/16"),
          (["--service-cidr", "10.98.0.0/16,fd00:10:96::/112"], "--service-cidr fd00:10:96::/112 overlaps"),
          (["--load-balancer-cidr", "10.96.1.0/24"], "--load-balancer-cidr 10.96.1.0/24 overlaps 10.96.0.0/16"),
          (["--api-address", "127.0.0.1:6443"], "choose another address with --api-address"),
        ] {
          let outcome = try node.onNode([Node.binary, "up", "--state-dir", node.directory + "/other"] + arguments)
          #expect(outcome.status == 1, "\(arguments): \(outcome)")
          #expect(outcome.errors.contains(complaint), "\(arguments): \(outcome)")
        }
        let rules = try node.onNode(["ip", "rule"]).output
        #expect(rules.contains("lookup 2005"), "\(rules)")
        #expect(try node.martlet("status").status == 0)
      }
    }
  }
}

/// Clients that never stop asking: one with a connection for each request, and for each family one that keeps its connections.
private final class Steady {
  private let loop: Child
  private let directory: String
  private let kept: [(KeptConnection, String)]
  private var hasEnded = false

  init(_ node: Node) throws {
    directory = try TemporaryDirectory.make("e2e-steady")
    let requests = try Family.allCases.flatMap { family in
      try ["ratings", "productpage"].map {
        try Node.requestCommand(node.url(of: .pod($0), family), timeout: 2, statusOnly: true).joined(separator: " ")
      }
    }
    let script =
      "while [ ! -e \(directory)/stop ]; do \(requests.map { "\($0) || echo failed" }.joined(separator: "; ")); done"
    loop = try Child(
      node.invocation(["sh", "-c", script], at: .pod("reviews")), environment: node.environment,
      output: directory + "/out", errors: directory + "/err")
    kept = try Family.allCases.flatMap { family in
      try ["ratings", "productpage"].map {
        (try KeptConnection(on: node, from: .pod("reviews"), to: .pod($0), family), "\($0), \(family)")
      }
    }
  }

  func expectAlive(_ when: String) throws {
    for (connection, name) in kept {
      #expect(try connection.request("GET") == "200", "\(name), \(when)")
      if name.hasPrefix("productpage") { #expect(try connection.request("POST") == "403", "\(name), \(when)") }
    }
  }

  /// What was answered so far, or `failed`.
  var answers: Set<String> { Set(read(directory + "/out").split(separator: "\n").map(String.init)) }

  func end() {
    if hasEnded { return }
    hasEnded = true
    try? write("", to: directory + "/stop")
    loop.wait()
  }

  deinit {
    end()
    TemporaryDirectory.remove(directory)
  }
}
