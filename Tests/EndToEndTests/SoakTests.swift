import Glibc
import TestSupport
import Testing

private let soakPolicies = """
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
  /// The agent and the proxy are killed again and again under traffic. `MARTLET_SOAK_SECONDS` says for how long.
  @Suite(
    .serialized,
    .node { node in
      try node.runServer("ratings", labels: "app=ratings")
      try node.runServer("productpage", labels: "app=productpage", role: "productpage")
      try node.runPod("reviews", labels: "app=reviews")
      try node.runPod("sleep", labels: "app=sleep")
      try node.apply(soakPolicies)
    })
  struct SoakTests {
    private static let seconds = getenv("MARTLET_SOAK_SECONDS").flatMap { Double(String(cString: $0)) } ?? 6

    /// What one client sees, and what it must never see.
    private struct Stream {
      let name: String
      let source: Place
      let destination: Place
      let method: String
      /// Statuses that may be seen; no answer at all is `failed`.
      let allowed: Set<String>
      let mustSee: String
    }

    private static let streams = [
      Stream(
        name: "L4, allowed", source: .pod("reviews"), destination: .pod("ratings"), method: "GET", allowed: ["200"],
        mustSee: "200"),
      Stream(
        name: "L4, denied", source: .pod("sleep"), destination: .pod("ratings"), method: "GET", allowed: ["failed"],
        mustSee: "failed"),
      Stream(
        name: "HTTP, allowed", source: .pod("reviews"), destination: .pod("productpage"), method: "GET",
        allowed: ["200", "failed"], mustSee: "200"),
      Stream(
        name: "HTTP, denied", source: .pod("reviews"), destination: .pod("productpage"), method: "POST",
        allowed: ["403", "failed"], mustSee: "403"),
    ]

    @Test func `kills under traffic change no verdict`() throws {
      let node = try SharedNode.node
      let directory = try TemporaryDirectory.make("e2e-soak")
      defer { TemporaryDirectory.remove(directory) }
      let clients = try SoakTests.streams.enumerated().flatMap { index, stream in
        try Family.allCases.map { family -> (Stream, Family, Child, String) in
          let request = try Node.requestCommand(
            node.url(of: stream.destination, family), method: stream.method,
            timeout: stream.allowed == ["200"] ? 5 : 0.5, statusOnly: true
          ).joined(separator: " ")
          let output = "\(directory)/\(index)-\(family)"
          let loop = "while [ ! -e \(directory)/stop ]; do \(request) 2>/dev/null || echo failed; sleep 0.02; done"
          let child = try Child(
            node.invocation(["sh", "-c", loop], at: stream.source), environment: node.environment, output: output)
          return (stream, family, child, output)
        }
      }
      defer { for client in clients { client.2.signal(SIGKILL) } }
      let end = ContinuousClock.now + .seconds(SoakTests.seconds)
      var kills = 0
      while ContinuousClock.now < end {
        for process in ["proxy", "agent"] {
          let pid = try #require(node.pid(of: process))
          kill(pid, SIGKILL)
          kills += 1
          let again = eventually(within: 20) { node.pid(of: process).map { $0 != pid } ?? false }
          #expect(again, "\(process) is not started again\n\(node.log.suffix(2000))")
          usleep(700_000)
        }
      }
      let ready = try eventually(within: 20) { try node.martlet("status").status == 0 }
      #expect(ready)
      try write("", to: directory + "/stop")
      for (stream, family, child, output) in clients {
        child.wait()
        let seen = read(output).split(separator: "\n").reduce(into: [String: Int]()) { $0[String($1), default: 0] += 1 }
        #expect(stream.allowed.isSuperset(of: seen.keys), "\(stream.name), \(family): \(seen)")
        #expect(seen[stream.mustSee] ?? 0 > 0, "\(stream.name), \(family): \(seen)")
        print("soak: \(kills) kills; \(stream.name), \(family): \(seen)")
      }
      // It is as good as new.
      try node.runPod("late", labels: "app=reviews")
      #expect(try node.surprises([.allowed(.pod("late")), .refused(.pod("sleep"))]) == [])
      #expect(try node.request(from: .pod("late"), to: .pod("productpage"), method: "POST", family: .ipv6) == "403")
    }
  }
}
