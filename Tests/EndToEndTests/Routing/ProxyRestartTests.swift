import Glibc
import JSON
import TestSupport
import Testing

/// - Parameter rule: What requests the judged pod takes.
private func manifest(_ rule: String) -> String {
  """
  apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: judged}
  spec:
    endpointSelector: {matchLabels: {app: judged}}
    ingress:
      - fromEndpoints: [{matchLabels: {app: client}}]
        toPorts: [{ports: [{port: "9080", protocol: TCP}], rules: {http: [\(rule)]}}]
  ---
  apiVersion: cilium.io/v2
  kind: CiliumEnvoyConfig
  metadata: {name: shop}
  spec:
    services: [{name: shop, namespace: default}]
    backendServices: [{name: shop, namespace: default}]
    resources:
      - "@type": type.googleapis.com/envoy.config.listener.v3.Listener
        name: shop
        filter_chains:
          - filters:
              - name: envoy.filters.network.http_connection_manager
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                  stat_prefix: shop
                  upgrade_configs: [{upgrade_type: websocket}]
                  route_config:
                    name: shop
                    virtual_hosts:
                      - name: shop
                        domains: ["*"]
                        routes:
                          - {match: {path: /routed}, direct_response: {status: 200, body: {inline_string: routed}}}
                          - {match: {prefix: /}, route: {cluster: default/shop, timeout: 0s}}
  """
}

/// A node whose executable is a file of the test's own, to be replaced by another.
private func withNode(_ body: (Node, _ executable: String) throws -> Void) throws {
  let folder = try TemporaryDirectory.make("e2e-program")
  defer { TemporaryDirectory.remove(folder) }
  let executable = folder + "/martlet"
  try must(["cp", "--reflink=auto", Node.binary, executable])
  let node = try Node(executable: executable)
  defer { node.stop() }
  let command = try RestartLoad.serverCommand(node, port: 9080)
  try node.apply(
    ServiceManifests.documents([
      ServiceManifests.dualStack("shop", selector: "app: shop", ["name: http, port: 9080"])
    ]))
  for name in ["shop", "judged"] {
    try node.runPod(name, labels: "app=\(name)", command: command, ports: ["http=9080"])
  }
  try node.runPod("client", labels: "app=client")
  try node.waitForService("shop", backends: 1)
  try node.apply(manifest("{method: GET}"))
  for family in Family.allCases {
    let address = try node.clusterIP("shop", family)
    let url = "http://\(family == .ipv4 ? address : "[\(address)]"):9080/routed"
    let isRouted = try eventually(within: 20) {
      try node.run(Node.requestCommand(url, timeout: 3), at: .pod("client")).text == "routed"
    }
    guard isRouted else { throw Failure("requests of shop are not routed\n\(node.log)") }
  }
  try body(node, executable)
}

extension Node {
  /// What is reached only through the proxy, by both families: a pod whose requests are judged, a Service that is routed.
  fileprivate var proxied: [(String, Int)] {
    get throws {
      try Family.allCases.flatMap { family in
        [(try address(of: "judged", family), 9080), (try clusterIP("shop", family), 9080)]
      }
    }
  }

  /// The processes of this instance's that run the proxy.
  fileprivate var proxies: Set<pid_t> {
    Set(
      entries(of: "/proc").compactMap { pid_t($0) }.filter {
        let words = read("/proc/\($0)/cmdline").split(separator: "\0")
        return words.count > 2 && words[1] == "proxy" && words.contains { $0 == state }
      })
  }

  fileprivate var descriptors: Int { pid(of: "proxy").map { entries(of: "/proc/\($0)/fd").count } ?? 0 }
}

extension EndToEnd {
  @Suite(.serialized) struct ProxyRestartTests {
    @Test func `the proxy is replaced under load, and nobody notices`() throws {
      try withNode { node, executable in
        let load = try RestartLoad(node, from: .pod("client"), targets: node.proxied)
        try load.goOn()
        let first = try #require(node.pid(of: "proxy"))
        var seen: Set<pid_t> = [first]
        for _ in 0..<3 {
          let restart = try node.martlet("proxy", "restart")
          #expect(restart.status == 0, "\(restart)")
          seen.insert(try #require(node.pid(of: "proxy")))
          try load.goOn()
        }
        #expect(seen.count == 4)
        // The first one still has the tunnels and the downloads.
        #expect(node.proxies.contains(first))

        // A new program that does not run is told of, and changes nothing.
        let present = node.pid(of: "proxy")
        try write("#!/bin/sh\nexit 7\n", to: executable + ".new")
        chmod(executable + ".new", 0o755)
        rename(executable + ".new", executable)
        let broken = try node.martlet("proxy", "restart")
        #expect(broken.status == 1 && broken.errors.contains("exit code 7"), "\(broken)")
        #expect(node.pid(of: "proxy") == present)
        try load.goOn()

        // The next one does: it is the file as it is now.
        try must(["cp", "--reflink=auto", Node.binary, executable + ".new"])
        rename(executable + ".new", executable)
        let mended = try node.martlet("proxy", "restart")
        #expect(mended.status == 0, "\(mended)")
        let last = try #require(node.pid(of: "proxy"))
        var buffer = [CChar](repeating: 0, count: 4096)
        #expect(readlink("/proc/\(last)/exe", &buffer, 4095) > 0)
        #expect(String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self) == executable)
        try load.goOn()

        // The agent is answered by the new one: what it waits for takes no half second longer.
        try node.apply(manifest("{method: GET, path: \"/.*\"}"))
        #expect(read(node.state + "/proxy/serving").trimmed == "\(last)")
        try load.goOn()
        let result = try load.end()
        #expect(result.failures == [], "\(node.log)")
        #expect(result.requests > 1000 && result.echoes > 100 && result.octets > 10_000, "\(result)")
        // What was left in the earlier ones has ended, and they with it.
        #expect(eventually(within: 20) { node.proxies == [last] }, "\(node.proxies) \(last)")
        #expect(!node.log.contains("does not end by itself"))
        #expect(eventually(within: 20) { node.descriptors < 100 }, "\(node.descriptors)")
      }
    }

    @Test func `a proxy that is killed is back within a second, also amid a handover`() throws {
      try withNode { node, _ in
        // What else the machine does may take a second once, but not thrice.
        func killed(within limit: Double, _ body: () throws -> Void) throws -> Double {
          var shortest = Double.infinity
          for _ in 0..<3 where shortest > limit { shortest = min(shortest, try longestGap(body)) }
          return shortest
        }
        func longestGap(_ body: () throws -> Void) throws -> Double {
          let load = try RestartLoad(node, from: .pod("client"), targets: node.proxied, endures: true)
          try load.goOn()
          try body()
          try load.goOn()
          return try load.end().longestGap
        }
        let plain = try killed(within: 1) { kill(try #require(node.pid(of: "proxy")), SIGKILL) }
        #expect(plain <= 1, "\(plain) s without an answer")
        for kills in ["old", "new", "both"] {
          for delay: UInt32 in [0, 20_000, 60_000] {
            // Who ends again and again within ten seconds of its start is started after a pause, which grows.
            let limit = kills == "both" ? 4 : 1.5
            let gap = try killed(within: limit) {
              let old = try #require(node.pid(of: "proxy"))
              let restart = try Child(
                ["ip", "netns", "exec", node.name, Node.binary, "proxy", "restart"], environment: node.environment)
              defer { restart.wait() }
              let begun = eventually(within: 20, every: 1000) { node.proxies.subtracting([old]).count > 0 }
              #expect(begun)
              usleep(delay)
              let new = node.proxies.subtracting([old])
              if kills != "new" { kill(old, SIGKILL) }
              if kills != "old" { for pid in new { kill(pid, SIGKILL) } }
            }
            #expect(
              gap <= limit, "\(gap) s without an answer: \(kills) killed after \(delay) µs\n\(node.log.suffix(3000))")
            #expect(eventually(within: 20) { node.proxies.count == 1 })
          }
        }
        #expect(try node.martlet("proxy", "restart").status == 0)
      }
    }
  }
}
