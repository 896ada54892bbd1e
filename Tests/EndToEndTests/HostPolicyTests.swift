import Glibc
import JSON
import TestSupport
import Testing

private let sleep = Place.pod("sleep")
private let reviews = Place.pod("reviews")
private let ratings = Place.pod("ratings")
private let port = 7070

/// Policies about this node and what they make of its own connections; each attempt that is refused arrives without.
private let cases: [PolicyCase] = [
  PolicyCase(
    "who may come in", clusterwide: true,
    spec: """
      nodeSelector: {}
      ingress:
        - fromEndpoints: [{matchLabels: {app: sleep}}]
          toPorts: [{ports: [{port: "\(port)", protocol: TCP}]}]
      """,
    .allowed(sleep, .host, port: port), .refused(reviews, .host, port: port), .refused(.world, .host, port: port),
    .allowed(.host, .world), .allowed(.host, ratings)),
  PolicyCase(
    "a part of the world", clusterwide: true,
    spec: """
      nodeSelector: {}
      ingress: [{fromCIDR: ["192.0.2.0/24", "2001:db8::/64"]}]
      """,
    .allowed(.world, .host, port: port), .refused(sleep, .host, port: port)),
  PolicyCase(
    "another part of the world", clusterwide: true,
    spec: """
      nodeSelector: {}
      ingress: [{fromCIDR: ["198.51.100.0/24", "2001:db8:1::/64"]}]
      """,
    .refused(.world, .host, port: port)),
  PolicyCase(
    "what is denied", clusterwide: true,
    spec: """
      nodeSelector: {}
      ingress: [{fromEntities: [all]}]
      egress: [{toEntities: [all]}]
      ingressDeny: [{fromEntities: [world]}]
      egressDeny: [{toEndpoints: [{matchLabels: {app: ratings}}]}]
      """,
    .refused(.world, .host, port: port), .allowed(sleep, .host, port: port), .refused(.host, ratings),
    .allowed(.host, .world)),
  PolicyCase(
    "where it may go", clusterwide: true,
    spec: """
      nodeSelector: {matchLabels: {kubernetes.io/os: linux}}
      egress: [{toEndpoints: [{matchLabels: {app: ratings}}]}]
      """,
    .refused(.host, .world), .allowed(.host, ratings), .allowed(.world, .host, port: port),
    .allowed(sleep, .host, port: port), .allowed(sleep, .world)),
  PolicyCase(
    "another node", clusterwide: true,
    spec: "nodeSelector: {matchLabels: {kubernetes.io/os: plan9}}\ningress: []\negress: []",
    .allowed(.world, .host, port: port), .allowed(.host, .world), .allowed(sleep, .host, port: port)),
  PolicyCase(
    "all pods are not the node", clusterwide: true, spec: "endpointSelector: {}\ningress: []\negress: []",
    .allowed(.world, .host, port: port), .allowed(.host, .world), .refused(sleep, .world)),
]

private let closed = """
  apiVersion: cilium.io/v2
  kind: CiliumClusterwideNetworkPolicy
  metadata: {name: closed}
  spec: {nodeSelector: {}, ingress: [{fromEndpoints: [{matchLabels: {app: sleep}}]}]}
  """

/// More ports than a map of eight entries holds.
private let tooLarge = """
  apiVersion: cilium.io/v2
  kind: CiliumClusterwideNetworkPolicy
  metadata: {name: closed}
  spec:
    nodeSelector: {}
    ingress:
      - toPorts:
          - ports: [\(stride(from: 7070, through: 7090, by: 2).map { "{port: \"\($0)\", protocol: TCP}" }.joined(separator: ", "))]
  """

extension EndToEnd {
  /// Policies that select the node itself, whose cable to the world is named with `--device`.
  @Suite(
    .serialized,
    .node(upArguments: ["--device", "world"]) { node in
      try node.runServer("ratings", labels: "app=ratings")
      try node.runPod("reviews", labels: "app=reviews")
      try node.runPod("sleep", labels: "app=sleep")
    })
  struct HostPolicyTests {
    @Test(arguments: cases) func policies(_ policy: PolicyCase) throws {
      try withServers { node in
        try node.apply(policy.manifest)
        #expect(try node.surprises(policy.attempts) == [])
        try node.delete(policy.manifest)
        let refused = policy.attempts.filter { !$0.arrives }
        #expect(try node.surprises(refused.map { .allowed($0.source, $0.destination, port: $0.port) }) == [])
      }
    }

    @Test func `the agent dies`() throws {
      try withServers { node in
        try node.apply(closed)
        let attempts: [Attempt] = [.refused(.world, .host, port: port), .allowed(sleep, .host, port: port)]
        #expect(try node.surprises(attempts) == [])
        let pid = try #require(node.pid(of: "agent"))
        kill(pid, SIGKILL)
        for _ in 0..<5 { #expect(try node.surprises(attempts) == []) }
        #expect(try eventually(within: 20) { try node.martlet("status").status == 0 })
        #expect(try node.surprises(attempts) == [])
        try node.delete(closed)
        #expect(try node.surprises([.allowed(.world, .host, port: port)]) == [])
      }
    }

    @Test(arguments: Family.allCases) func `why`(_ family: Family) throws {
      let node = try SharedNode.node
      let world = try node.address(of: .world, family)
      let sleepAddress = try node.address(of: sleep, family)
      func trace(_ from: String, _ to: String) throws -> Outcome {
        try node.martlet("policy", "trace", "--from", from, "--to", to, "--port", "\(port)/TCP")
      }
      #expect(try trace(world, try node.address(of: .host, family)).text.contains("no policy selects this node"))
      try node.apply(closed)
      let denied = try trace(world, try node.address(of: .host, family))
      #expect(denied.status == 1 && denied.text.contains("no rule allows it"), "\(denied)")
      let allowed = try trace(sleepAddress, "reserved:host")
      #expect(allowed.status == 0 && allowed.text.contains("closed"), "\(allowed)")
      let why = try node.martlet("why", world, "reserved:host:\(port)")
      #expect(why.status == 1 && why.text.contains("closed"), "\(why)")
      try node.delete(closed)
    }

    @Test func `what is attached`() throws {
      let node = try SharedNode.node
      let programs = try node.martlet("bpf", "prog", "list")
      #expect(programs.text.contains("from_netdev"), "\(programs)")
      #expect(try node.martlet("status").text.contains("[world]"))
    }

    private func withServers(_ body: (Node) throws -> Void) throws {
      let node = try SharedNode.node
      let servers = [try node.serverInWorld(port: 9080), try node.serverOnHost(port: port)]
      defer {
        for server in servers {
          server.signal(9)
          server.wait()
        }
      }
      let answers = try eventually(within: 20) {
        try node.request(from: .world, to: .host, port: port, family: .ipv4, timeout: 1) != nil
          && node.request(from: .host, to: .world, family: .ipv4, timeout: 1) != nil
      }
      try #require(answers)
      try body(node)
    }
  }

  @Suite(.serialized) struct HostPolicyFailureTests {
    @Test func `a policy that does not fit closes the node, but not its loopback`() throws {
      let directory = try TemporaryDirectory.make("e2e-sizes")
      defer { TemporaryDirectory.remove(directory) }
      try write("maps: {policyEntries: 8}\ndevices: [world]\n", to: directory + "/up.yaml")
      try Node.with(["--config", directory + "/up.yaml"]) { node in
        let server = try node.serverOnHost(port: port)
        defer {
          server.signal(9)
          server.wait()
        }
        #expect(try eventually(within: 20) { try node.surprises([.allowed(.world, .host, port: port)]) == [] })
        try #require(try node.kubectl("apply", "-f", "-", stdin: tooLarge).status == 0)
        #expect(try eventually(within: 20) { try node.surprises([.refused(.world, .host, port: port)]) == [] })
        let status = try node.kubectl("get", "ccnp", "closed", "-o", "yaml")
        #expect(status.status == 0 && status.text.contains("loopback"), "\(status)")
        try node.delete(tooLarge)
        #expect(try eventually(within: 20) { try node.surprises([.allowed(.world, .host, port: port)]) == [] })
      }
    }

    /// Without a device only what passes between the node and its pods is judged, and the status says it.
    @Test func `no device is named`() throws {
      try Node.with { node in
        try node.runPod("sleep", labels: "app=sleep")
        try node.runPod("reviews", labels: "app=reviews")
        let server = try node.serverOnHost(port: port)
        defer {
          server.signal(9)
          server.wait()
        }
        #expect(try eventually(within: 20) { try node.surprises([.allowed(.world, .host, port: port)]) == [] })
        try node.apply(closed)
        #expect(
          try node.surprises([
            .allowed(.world, .host, port: port), .allowed(sleep, .host, port: port),
            .refused(reviews, .host, port: port),
          ]) == [])
        #expect(
          try eventually(within: 20) {
            try node.kubectl("get", "ccnp", "closed", "-o", "yaml").text.contains("no device is named with --device")
          })
      }
    }

    @Test func `nothing is left on the device`() throws {
      try Node.with(["--device", "world"]) { node in
        try node.apply(closed)
        node.terminate()
        let left = try node.onNode(["bpftool", "net", "show", "dev", "world"])
        #expect(!left.text.contains("netdev"), "\(left)")
      }
    }

    @Test func `devices without Ethernet are refused`() throws {
      try Node.with { node in
        let outcome = try node.onNode([
          Node.binary, "up", "--state-dir", node.directory + "/other", "--device", "lo",
        ])
        #expect(outcome.status == 1 && "\(outcome)".contains("\"lo\" does not carry Ethernet frames"), "\(outcome)")
      }
    }
  }
}

extension Node {
  /// Starts a server on the node itself; the caller ends it.
  fileprivate func serverOnHost(port: Int) throws -> Child {
    try Child(["ip", "netns", "exec", name, Node.binary, "bookinfo", "serve", "details", "--port", "\(port)"])
  }
}
