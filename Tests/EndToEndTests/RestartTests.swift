import Glibc
import JSON
import TestSupport
import Testing

private let restartPolicies = """
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

extension EndToEnd {
  /// The agent and the proxy die without notice; what they have set up goes on.
  @Suite(
    .serialized,
    .node { node in
      try node.runServer("ratings", labels: "app=ratings")
      try node.runServer("productpage", labels: "app=productpage", role: "productpage")
      try node.runPod("reviews", labels: "app=reviews")
      try node.runPod("sleep", labels: "app=sleep")
      try node.apply(restartPolicies)
    })
  struct RestartTests {
    @Test func `the agent is killed`() throws {
      let node = try SharedNode.node
      let before = try endpoints()
      let pid = try #require(node.pid(of: "agent"))
      try expectNoFailure(to: .pod("ratings")) {
        kill(pid, SIGKILL)
        let again = try eventually(within: 20) {
          try node.pid(of: "agent") != pid && node.martlet("status").status == 0
        }
        #expect(again)
      }
      #expect(try endpoints() == before)
      try expectPolicy()
      try node.runPod("late", labels: "app=reviews")
      #expect(try node.surprises([.allowed(.pod("late"))]) == [])
    }

    /// Tracked connections and policies in the kernel still name the old numbers: none of them may come to mean other
    /// rules, even when the file that tells of them is lost.
    @Test func `numbers of rule sets are not used again`() throws {
      let node = try SharedNode.node
      let file = node.state + "/proxy/config.json"
      func numbers() -> Set<Int64> {
        let sets = (try? JSONValue(parsing: read(file)))?["ruleSets"]?.arrayValue ?? []
        return Set(sets.compactMap { $0["id"]?.integerValue })
      }
      #expect(
        try node.request(from: .pod("reviews"), to: .pod("productpage"), family: .ipv4) == "200")
      let before = numbers()
      let pid = try #require(node.pid(of: "agent"))
      unlink(file)
      kill(pid, SIGKILL)
      let again = try eventually(within: 20) {
        try node.pid(of: "agent") != pid && node.martlet("status").status == 0 && !numbers().isEmpty
      }
      #expect(again)
      #expect(!before.isEmpty && numbers().isDisjoint(with: before))
      try expectPolicy()
    }

    @Test func `the proxy is killed`() throws {
      let node = try SharedNode.node
      let pid = try #require(node.pid(of: "proxy"))
      try expectNoFailure(to: .pod("ratings")) {
        kill(pid, SIGKILL)
        let again = try eventually(within: 3, every: 10_000) {
          try node.request(from: .pod("reviews"), to: .pod("productpage"), family: .ipv4, timeout: 0.3) == "200"
        }
        #expect(again, "HTTP goes on within three seconds, of a machine that has other work")
      }
      #expect(node.pid(of: "proxy") != pid)
      try expectPolicy()
    }

    /// Each endpoint's id, identity and pod.
    private func endpoints() throws -> Set<String> {
      let list = try SharedNode.node.martlet("endpoint", "list", "-o", "json").json().arrayValue ?? []
      return Set(list.map { "\($0["id"] ?? .null) \($0["identity"] ?? .null) \($0["pod"] ?? .null)" })
    }

    private func expectPolicy() throws {
      let node = try SharedNode.node
      #expect(
        try node.surprises([
          .allowed(.pod("reviews")), .refused(.pod("sleep")), .refused(.pod("sleep"), .pod("productpage")),
        ]) == [])
      for family in Family.allCases {
        for (method, status) in [("GET", "200"), ("POST", "403")] {
          #expect(
            try node.request(from: .pod("reviews"), to: .pod("productpage"), method: method, family: family) == status)
        }
      }
    }

    /// Requests of both families, one after the other for as long as `body` takes: every one is answered.
    private func expectNoFailure(to destination: Place, while body: () throws -> Void) throws {
      let node = try SharedNode.node
      let directory = try TemporaryDirectory.make("e2e-loop")
      defer { TemporaryDirectory.remove(directory) }
      let requests = try Family.allCases.map {
        try Node.requestCommand(node.url(of: destination, $0), timeout: 2, statusOnly: true).joined(separator: " ")
      }
      let loop =
        "while [ ! -e \(directory)/stop ]; do \(requests.map { "\($0) || echo failed" }.joined(separator: "; ")); done"
      let child = try Child(
        node.invocation(["sh", "-c", loop], at: .pod("reviews")), environment: node.environment,
        output: directory + "/out", errors: directory + "/err")
      defer {
        child.signal(SIGKILL)
        child.wait()
      }
      let runs = eventually(within: 20) { read(directory + "/out").contains("200") }
      #expect(runs)
      let result = Result { try body() }
      try write("", to: directory + "/stop")
      child.wait()
      try result.get()
      let answers = Set(read(directory + "/out").split(separator: "\n"))
      #expect(answers == ["200"], "\(read(directory + "/err"))")
    }
  }
}
