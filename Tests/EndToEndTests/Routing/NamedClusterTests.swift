import Glibc
import JSON
import Testing

/// What `ip netns exec` has programs of a network namespace find as `/etc/resolv.conf`.
private struct NamespaceResolver {
  private let folder: String

  init(_ namespace: String, server: String) throws {
    folder = "/etc/netns/\(namespace)"
    mkdir("/etc/netns", 0o755)
    guard mkdir(folder, 0o755) == 0 else { throw Failure("mkdir \(folder): \(String(cString: strerror(errno)))") }
    try write("nameserver \(server)\noptions timeout:1 attempts:1\n", to: folder + "/resolv.conf")
  }

  func remove() {
    unlink(folder + "/resolv.conf")
    rmdir(folder)
    // Stays where it has others'.
    rmdir("/etc/netns")
  }
}

extension EndToEnd {
  @Suite(.serialized) struct NamedClusterTests {
    @Test func `a cluster's names are resolved, and what they were last holds on`() throws {
      var resolver: NamespaceResolver?
      defer { resolver?.remove() }
      let node = try Node { resolver = try NamespaceResolver($0, server: "192.0.2.2") }
      defer { node.stop() }
      let hosts = node.directory + "/hosts"
      func setAddresses(_ host: Int) throws {
        try write("192.0.2.\(host) shop.example\n2001:db8::\(host) shop.example\n", to: hosts)
      }
      try setAddresses(2)
      let names = try Child(
        [
          "ip", "netns", "exec", node.name + "w", "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts",
          "--addn-hosts=\(hosts)", "--user=root", "--pid-file=", "--local=/example/", "--bind-interfaces",
          "--listen-address=192.0.2.2",
        ])
      node.keepUntilStop(names)
      node.keepUntilStop(try node.serverInWorld(port: 9080))
      try node.apply(ServiceManifests.dualStack("shop", selector: "app: none", ["name: http, port: 9080"]))
      try node.runPod("client", labels: "app=client")
      try node.apply(
        HealthManifests.routes(
          """
          type: STRICT_DNS, dns_refresh_rate: 0.2s, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [
            {endpoint: {address: {socket_address: {address: shop.example, port_value: 9080}}}}]}]}
          """))
      func addresses() throws -> Set<String> {
        let answer = try node.onNode([Node.binary, "route", "why", "GET", "http://shop:9080/", "-o", "json"]).json()
        let endpoints = answer["clusters"]?.arrayValue?.first?["endpoints"]?.arrayValue ?? []
        return Set(endpoints.compactMap { $0["address"]?.stringValue })
      }
      func statuses() throws -> [String] {
        try Family.allCases.map { family in
          let address = try node.clusterIP("shop", family)
          let url = "http://\(family == .ipv4 ? address : "[\(address)]"):9080/details/0"
          return try node.run(Node.requestCommand(url, timeout: 5, statusOnly: true), at: .pod("client")).text
        }
      }
      #expect(try eventually(within: 20) { try addresses() == ["192.0.2.2:9080", "[2001:db8::2]:9080"] })
      #expect(try eventually(within: 20) { try statuses() == ["200", "200"] }, "\(node.log)")
      try setAddresses(3)
      names.signal(SIGHUP)
      #expect(try eventually(within: 20) { try addresses() == ["192.0.2.3:9080", "[2001:db8::3]:9080"] })
      #expect(try statuses() == ["200", "200"])
      names.signal(SIGKILL)
      #expect(
        eventually(within: 20) { node.log.contains("shop.example can not be resolved, its last addresses stay in use") }
      )
      #expect(try addresses() == ["192.0.2.3:9080", "[2001:db8::3]:9080"])
      #expect(try statuses() == ["200", "200"])
    }
  }
}
