import Glibc
import JSON
import Testing

extension EndToEnd {
  /// Two nodes and a client on one segment: the client asks the first, a pod of the second answers.
  @Suite(.serialized) struct DirectReturnTests {
    @Test(arguments: ["dsr", "hybrid"]) func `a pod of another node answers the client itself`(_ mode: String) throws {
      try Node.with(["--device", "segment", "--load-balancer-mode", mode]) { first in
        try Node.with([
          "--device", "segment", "--pod-cidr", "10.245.0.0/16,fd00:10:245::/64", "--api-address", "127.0.0.1:6444",
        ]) { second in
          let client = first.name + "c"
          defer { _ = try? command(["ip", "netns", "del", client]) }
          try connect(first, second, client)
          try second.runProber("server", labels: "app=server", tcp: [8080], udp: [8080])
          let slices = try Family.allCases.map { family in
            ServiceManifests.slice(
              "direct", of: "direct", family, port: 8080,
              [.init(address: try second.address(of: "server", family), node: "elsewhere")])
          }
          try first.apply(ServiceManifests.documents([direct] + slices))
          try first.waitForService("direct", backends: 1)
          for family in Family.allCases {
            let (address, own) = family == .ipv4 ? ("198.18.0.1", "198.18.0.3") : ("fd18::1", "fd18::3")
            for (port, kind) in [("30480", "tcp"), ("30453", "udp")] {
              let seen = kind == "udp" && mode == "hybrid" ? address : own
              let answers = try must(["ip", "netns", "exec", client, "python3", "-c", asking, kind, address, port])
              #expect(answers.text == "server \(seen) 20", "\(family) \(kind): \(answers)")
            }
          }
          let status = try first.martlet("status").text
          #expect(status.contains("mode \(mode)"), "\(status)")
          let flows = try first.martlet("observe", "--service", "direct", "--last", "10").output
          #expect(flows.contains("via default/direct:80"), "\(flows)")
        }
      }
    }

    /// A bridge in the client's namespace, on which all three are.
    private func connect(_ first: Node, _ second: Node, _ client: String) throws {
      try must(["ip", "netns", "add", client])
      try must(["ip", "-n", client, "link", "add", "segment", "type", "bridge"])
      try must(["ip", "-n", client, "link", "set", "segment", "up"])
      try must(["ip", "-n", client, "addr", "add", "198.18.0.3/24", "dev", "segment"])
      try must(["ip", "-n", client, "addr", "add", "fd18::3/64", "dev", "segment", "nodad"])
      for (number, node) in [(1, first), (2, second)] {
        try must([
          "ip", "-n", node.name, "link", "add", "segment", "type", "veth", "peer", "name", "port\(number)", "netns",
          client,
        ])
        try must(["ip", "-n", node.name, "link", "set", "segment", "up"])
        try must(["ip", "-n", client, "link", "set", "port\(number)", "up", "master", "segment"])
        try must(["ip", "-n", node.name, "addr", "add", "198.18.0.\(number)/24", "dev", "segment"])
        try must(["ip", "-n", node.name, "addr", "add", "fd18::\(number)/64", "dev", "segment", "nodad"])
      }
      try must(["ip", "-n", first.name, "route", "add", "10.245.0.0/16", "via", "198.18.0.2"])
      try must(["ip", "-n", first.name, "route", "add", "fd00:10:245::/64", "via", "fd18::2"])
      for (number, node) in [(1, first), (2, second)] {
        // Devices are looked for every ten seconds.
        let known = try eventually(within: 25) {
          try node.martlet("status").text.contains("segment (198.18.0.\(number), fd18::\(number))")
        }
        guard known else { throw Failure("\(node.name) does not find its device: \(try node.martlet("status"))") }
      }
    }
  }
}

private let direct = """
  apiVersion: v1
  kind: Service
  metadata: {name: direct}
  spec:
    type: NodePort
    ipFamilyPolicy: RequireDualStack
    ports:
      - {name: http, port: 80, nodePort: 30480}
      - {name: dns, port: 53, protocol: UDP, nodePort: 30453}
  """

/// Asks twenty times, and says who answered whom how often.
private let asking = """
  import collections, socket, sys
  kind, address, port = sys.argv[1:]
  answers = collections.Counter()
  for _ in range(20):
      family = socket.AF_INET6 if ":" in address else socket.AF_INET
      with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as some:
          some.settimeout(2)
          some.connect((address, int(port)))
          some.send(b"who\\n")
          answers[some.recv(4096).decode().strip()] += 1
  print(*(f"{answer} {count}" for answer, count in answers.items()))
  """
