import Glibc
import Testing

extension EndToEnd {
  /// What L3/L4 policies say and what happens to real connections, each in both families.
  @Suite(
    .serialized,
    .node { node in
      try node.kubectl("create", "namespace", "other")
      try node.runServer("ratings", labels: "app=ratings,tier=backend", serving: [9080, 9090])
      try node.runServer("details", labels: "app=details,tier=backend")
      try node.runPod("reviews", labels: "app=reviews,tier=middle")
      try node.runPod("sleep", labels: "app=sleep")
      try node.runPod("reviews", namespace: "other", labels: "app=reviews")
    })
  struct PolicyTests {
    @Test(arguments: PolicyCase.subjects) func subjects(_ policy: PolicyCase) throws { try check(policy) }

    @Test(arguments: PolicyCase.peers) func peers(_ policy: PolicyCase) throws { try check(policy) }

    @Test(arguments: PolicyCase.ports) func ports(_ policy: PolicyCase) throws { try check(policy) }

    @Test(arguments: PolicyCase.denials) func denials(_ policy: PolicyCase) throws { try check(policy) }

    @Test(arguments: PolicyCase.references) func references(_ policy: PolicyCase) throws { try check(policy) }

    @Test(arguments: PolicyCase.kubernetes) func kubernetes(_ policy: PolicyCase) throws { try check(policy) }

    @Test(arguments: Family.allCases) func `without a policy everything arrives`(_ family: Family) throws {
      let node = try SharedNode.node
      for source in [Place.pod("sleep"), .podIn(namespace: "other", "reviews"), .host, .world] {
        #expect(try node.request(from: source, to: .pod("ratings"), family: family, timeout: 3) == "200", "\(source)")
      }
    }

    @Test(arguments: Family.allCases) func `icmps name what ping may do`(_ family: Family) throws {
      let node = try SharedNode.node
      let type = family == .ipv4 ? "{type: 8, family: IPv4}" : "{type: 128, family: IPv6}"
      let ratings = try node.address(of: .pod("ratings"), family)
      let ping = ["ping", "-c", "1", "-W", "1", ratings]
      let policy = PolicyCase(
        "icmps",
        spec: """
          endpointSelector: {matchLabels: {app: ratings}}
          ingress: [{fromEndpoints: [{matchLabels: {app: reviews}}], icmps: [{fields: [\(type)]}]}]
          """)
      try #require(try node.run(["sh", "-c", "command -v ping"], at: .host).status == 0, "ping is not installed")
      #expect(try node.exec("sleep", ping).status == 0)
      try node.apply(policy.manifest)
      #expect(try node.exec("reviews", ping).status == 0)
      #expect(try node.exec("sleep", ping).status != 0)
      try node.delete(policy.manifest)
      #expect(try node.exec("sleep", ping).status == 0)
    }

    private func check(_ policy: PolicyCase) throws {
      let node = try SharedNode.node
      let servesWorld = policy.attempts.contains { $0.destination == .world || $0.destination == .farWorld }
      let server = servesWorld ? try node.serverInWorld(port: 9080) : nil
      defer {
        server?.signal(9)
        server?.wait()
      }
      let manifest = policy.objects.isEmpty ? policy.manifest : policy.objects + "\n---\n" + policy.manifest
      try node.apply(manifest)
      // Each kind of object is watched on its own, so a policy may come before what it names.
      if !policy.objects.isEmpty { usleep(300_000) }
      #expect(try node.surprises(policy.attempts) == [])
      try node.delete(manifest)
      let refused = policy.attempts.filter { !$0.arrives }
      #expect(try node.surprises(refused.map { .allowed($0.source, $0.destination, port: $0.port) }) == [])
    }
  }
}
