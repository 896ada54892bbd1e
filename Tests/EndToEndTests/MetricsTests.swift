import Glibc
import Testing

extension Node {
  /// What a process of the node exports: `name{labels}` -> value.
  func metrics(_ port: Int) throws -> [String: Double] {
    let scrape = try onNode(["curl", "-sf", "-m", "5", "http://127.0.0.1:\(port)/metrics"])
    guard scrape.status == 0 else { throw Failure("no metrics on port \(port): \(scrape)") }
    return scrape.output.split(separator: "\n").filter { !$0.hasPrefix("#") }.reduce(into: [:]) { values, line in
      guard let space = line.lastIndex(of: " ") else { return }
      values[String(line[..<space])] = Double(line[line.index(after: space)...])
    }
  }
}

/// A server to which one of two clients may send GET.
func prepareRatings(_ node: Node) throws {
  try node.runServer("ratings", labels: "app=ratings")
  try node.runPod("reviews", labels: "app=reviews")
  try node.runPod("sleep", labels: "app=sleep")
  try node.apply(
    """
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: ratings}
    spec:
      endpointSelector: {matchLabels: {app: ratings}}
      ingress:
        - fromEndpoints: [{matchLabels: {app: reviews}}]
          toPorts: [{ports: [{port: "9080", protocol: TCP}], rules: {http: [{method: GET}]}}]
    """)
}

extension EndToEnd {
  /// What Prometheus finds.
  @Suite(
    .serialized,
    .node(prepareRatings))
  struct MetricsTests {
    @Test func `the agent counts what the kernel does`() throws {
      let node = try SharedNode.node
      let before = try node.metrics(9962)
      let attempts = [Attempt.refused(.pod("sleep"), .pod("ratings")), .allowed(.pod("reviews"), .pod("ratings"))]
      #expect(try node.surprises(attempts) == [])
      let after = try node.metrics(9962)
      let denied = "martlet_drop_count_total{direction=\"INGRESS\",reason=\"POLICY_DENIED\"}"
      #expect(after[denied] ?? 0 > before[denied] ?? 0)
      let forwarded = "martlet_forward_count_total{direction=\"EGRESS\"}"
      #expect(after[forwarded] ?? 0 > 0)
      #expect(after["martlet_endpoint_state{endpoint_state=\"ready\"}"] == 3)
      #expect(after["martlet_policy{state=\"accepted\"}"] == 1)
      #expect(after["martlet_policy_revision"] ?? 0 > 0)
      #expect(after["martlet_lost_events_total{source=\"PERF_EVENT_RING_BUFFER\"}"] == 0)
      for map in ["conntrack", "endpoints", "ipcache", "policy", "policy_entries"] {
        let pressure = try #require(after["martlet_bpf_map_pressure{map_name=\"martlet_\(map)\"}"], "\(map)")
        #expect(pressure > 0 && pressure < 0.5, "\(map)")
      }
      #expect(after["process_resident_memory_bytes"] ?? 0 > 1_000_000)
    }

    @Test func `the proxy counts requests by verdict`() throws {
      let node = try SharedNode.node
      func requests(_ verdict: String) throws -> Double {
        try node.metrics(9964)["martlet_proxy_requests_total{verdict=\"\(verdict)\"}"] ?? -1
      }
      let before = (try requests("forwarded"), try requests("denied"))
      for method in ["GET", "GET", "POST"] {
        _ = try node.request(from: .pod("reviews"), to: .pod("ratings"), method: method, family: .ipv4)
      }
      #expect(try requests("forwarded") == before.0 + 2)
      #expect(try requests("denied") == before.1 + 1)
    }

    @Test func `a taken port is said and harms nobody`() throws {
      let node = try SharedNode.node
      let pid = try #require(node.pid(of: "agent"))
      // Its place is free when it is killed, and this one is quicker than its successor.
      let taker = try Child([
        "ip", "netns", "exec", node.name, "python3", "-c",
        """
        import socket, time
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while True:
            try:
                taken.bind(("127.0.0.1", 9962))
                taken.listen()
                break
            except OSError:
                time.sleep(0.001)
        time.sleep(60)
        """,
      ])
      defer {
        taker.signal(SIGKILL)
        taker.wait()
      }
      usleep(200_000)
      kill(pid, SIGKILL)
      let said = try eventually(within: 20) {
        try node.pid(of: "agent") != pid
          && node.martlet("status").output.contains(
            "can not listen on 127.0.0.1:9962 for metrics: Address already in use")
      }
      #expect(said)
      #expect(try node.request(from: .pod("reviews"), to: .pod("ratings"), family: .ipv4) == "200")
      taker.signal(SIGKILL)
      taker.wait()
      let recovers = try eventually(within: 20) { try node.martlet("status").status == 0 }
      #expect(recovers)
    }

    /// What `traceroute` shows: the node, then the pod.
    @Test(arguments: Family.allCases) func `the node is a hop between pods`(_ family: Family) throws {
      let shared = try SharedNode.node
      let reviews = try shared.address(of: "reviews", family)
      func ping(_ hops: Int) throws -> String {
        try shared.exec("sleep", ["ping", "-c", "1", "-W", "1", "-t", "\(hops)", reviews]).output
      }
      // The node speaks with the first address that it has, which is that of its link to the world or of its pods' block.
      let own = family == .ipv4 ? ["192.0.2.1", "10.244.0.1"] : ["2001:db8::1", "fd00:10:244::1"]
      let first = try ping(1)
      #expect(own.contains { first.contains("From \($0)") } && first.contains("exceeded"), "\(first)")
      #expect(try ping(2).contains("1 received"))
    }
  }
}
