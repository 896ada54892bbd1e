import Glibc
import Testing

/// Answers every request with its header fields, one a line.
private let echo = """
  import http.server, socket
  class Echo(http.server.BaseHTTPRequestHandler):
      def do_GET(self):
          body = ''.join(f'{name.lower()}={value}\\n' for name, value in self.headers.items()).encode()
          self.send_response(200)
          self.send_header('Content-Length', str(len(body)))
          self.end_headers()
          self.wfile.write(body)
  class Server(http.server.ThreadingHTTPServer):
      address_family = socket.AF_INET6
  Server(('::', 9080), Echo).serve_forever()
  """

extension EndToEnd {
  /// What headerMatches does to real requests, on either side, with values written out and from Secrets.
  @Suite(
    .serialized,
    .node { node in
      try node.runPod("server", labels: "app=server", command: ["python3", "-c", echo])
      try node.runPod("client", labels: "app=client")
    })
  struct HeaderTests {
    private func manifest(_ subject: String, _ direction: String, _ rules: String) -> String {
      """
      apiVersion: cilium.io/v2
      kind: CiliumNetworkPolicy
      metadata: {name: headers}
      spec:
        endpointSelector: {matchLabels: {app: \(subject)}}
        \(direction):
          - toPorts:
              - ports: [{port: "9080", protocol: TCP}]
                rules: {http: [\(rules)]}
      """
    }

    /// The values of X-Tenant as the server saw them; nil when the request was not let through.
    private func seen(_ headers: [String], path: String = "/", _ family: Family) throws -> [String]? {
      let node = try SharedNode.node
      let url = try node.url(of: .pod("server"), path: path, family)
      let answer = try node.run(Node.requestCommand(url, headers: headers, timeout: 3), at: .pod("client"))
      guard answer.status == 0, answer.output.contains("host=") else { return nil }
      return answer.output.split(separator: "\n").filter { $0.hasPrefix("x-tenant=") }.map { String($0.dropFirst(9)) }
    }

    static let sides = [("server", "ingress"), ("client", "egress")]

    @Test(arguments: sides) func `each action does what it says`(_ subject: String, _ direction: String) throws {
      let node = try SharedNode.node
      let waits = try eventually(within: 20) { try seen([], .ipv6) != nil }
      #expect(waits)
      let green = ["X-Tenant: green"]
      let rows: [(action: String, sent: [String], arrives: [String]?)] = [
        ("LOG", green, ["green"]), ("LOG", [], []), ("ADD", green, ["green", "blue"]), ("ADD", [], ["blue"]),
        ("DELETE", green, []), ("REPLACE", green, ["blue"]), ("REPLACE", [], ["blue"]),
        ("REPLACE", ["X-Tenant: blue"], ["blue"]), ("", green, nil), ("", ["X-Tenant: blue"], ["blue"]),
      ]
      for row in rows {
        let mismatch = row.action.isEmpty ? "" : ", mismatch: \(row.action)"
        let policy = manifest(subject, direction, "{headerMatches: [{name: X-Tenant, value: blue\(mismatch)}]}")
        try node.apply(policy)
        for family in Family.allCases {
          #expect(try seen(row.sent, family) == row.arrives, "\(direction) \(family) \(row)")
        }
      }
      let told = try eventually(within: 20) {
        try node.martlet("observe", "--last", "200", "-o", "json").output.contains(
          #""mismatches":["headerMatches[0]"]"#)
      }
      #expect(told, "the record of a request says which header was not as it should be")
      try node.delete(manifest(subject, direction, "{}"))
    }

    private func secret(_ value: String) -> String {
      """
      apiVersion: v1
      kind: Secret
      metadata: {name: tenant}
      stringData: {token: \(value)}
      """
    }

    @Test func `a value from a Secret follows it, and is written nowhere that others read`() throws {
      let node = try SharedNode.node
      let policy = manifest(
        "server", "ingress", "{headerMatches: [{name: X-Tenant, secret: {name: tenant}, mismatch: REPLACE}]}")
      try node.kubectl("delete", "secret", "tenant", "--ignore-not-found")
      try node.apply(policy)
      #expect(try seen([], .ipv4) == nil, "without the Secret nothing is allowed")
      let issues =
        try node.martlet("policy", "get").output
        + node.kubectl("get", "cnp", "headers", "-o", "yaml").output
      #expect(issues.contains("there is no Secret default/tenant"), "\(issues)")
      for value in ["s3cr3t-one", "s3cr3t-two"] {
        #expect(try node.kubectl("apply", "-f", "-", stdin: secret(value)).status == 0)
        for family in Family.allCases {
          let arrives = try eventually(within: 20) { try seen(["X-Tenant: mine"], family) == [value] }
          #expect(arrives, "\(family) \(value)")
        }
      }
      let told =
        try node.martlet("policy", "get", "-o", "json").output
        + node.kubectl("get", "cnp", "headers", "-o", "yaml").output + node.martlet("observe", "--last", "200").output
        + node.log
      #expect(!told.contains("s3cr3t"))
      let files = try command(["sh", "-c", "find \(node.state) -perm /077 -type f | xargs grep -l s3cr3t"]).output
      #expect(files.isEmpty, "\(files)")
      let gone = try eventually(within: 20) {
        try node.kubectl("delete", "secret", "tenant", "--ignore-not-found")
        return try seen([], .ipv4) == nil
      }
      #expect(gone, "what the Secret allowed ends with it")
      try node.delete(policy)
    }

    @Test func `the value beside a Secret that is not there`() throws {
      let node = try SharedNode.node
      let policy = manifest(
        "client", "egress", "{headerMatches: [{name: X-Tenant, secret: {name: nobody}, value: spare, mismatch: ADD}]}")
      try node.apply(policy)
      for family in Family.allCases { #expect(try seen([], family) == ["spare"]) }
      try node.delete(policy)
    }
  }
}
