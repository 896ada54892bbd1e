import Glibc
import Testing

/// One server for each family: an openssl that listens on `::` may or may not take IPv4.
private func servers(_ node: Node) -> [String] {
  let one = "openssl s_server -www -quiet -key \(node.directory)/key.pem -cert \(node.directory)/certificate.pem"
  return ["\(one) -4 -accept 8443", "\(one) -6 -accept '[::]:8443'"]
}

extension EndToEnd {
  /// What serverNames says and what real TLS clients and servers see: in a pod by ingress and by egress, in the world, in
  /// both families.
  @Suite(
    .serialized,
    .node { node in
      let (key, certificate) = (node.directory + "/key.pem", node.directory + "/certificate.pem")
      try must([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=server", "-keyout", key, "-out", certificate,
      ])
      try node.runPod("client", labels: "app=client")
      try node.runPod("tls", labels: "app=tls", command: ["sh", "-c", servers(node).joined(separator: " & exec ")])
    })
  struct TLSTests {
    private func manifest(_ subject: String, _ direction: String, _ names: String) -> String {
      """
      apiVersion: cilium.io/v2
      kind: CiliumNetworkPolicy
      metadata: {name: tls-\(direction)}
      spec:
        endpointSelector: {matchLabels: {app: \(subject)}}
        \(direction):
          - toPorts:
              - ports: [{port: "8443", protocol: TCP}]
                serverNames: [\(names)]
      """
    }

    private enum Answer: Equatable {
      case served, accessDenied
      case other(String)
    }

    private func ask(_ name: String?, at place: Place, _ family: Family, _ options: String = "") throws -> Answer {
      let node = try SharedNode.node
      let address = try node.address(of: place, family)
      let end = family == .ipv4 ? "\(address):8443" : "[\(address)]:8443"
      let sni = name.map { "-servername \($0)" } ?? "-noservername"
      let script =
        "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 5 openssl s_client -connect '\(end)' \(sni) -ign_eof \(options) 2>&1"
      let output = try node.run(["sh", "-c", script], at: .pod("client")).output
      if output.contains("HTTP/1.0 200 ok") { return .served }
      return output.contains("alert access denied") ? .accessDenied : .other(output)
    }

    private func check(_ policy: String, at place: Place) throws {
      let node = try SharedNode.node
      for family in Family.allCases {
        let isUp = try eventually(within: 20) { try ask("x.org", at: place, family) == .served }
        #expect(isUp, "\(place) \(family)")
      }
      try node.apply(policy)
      for family in Family.allCases {
        for options in ["-tls1_3", "-tls1_2"] {
          let note = Comment(rawValue: "\(place) \(family) \(options)")
          #expect(try ask("www.example.com", at: place, family, options) == .served, note)
          #expect(try ask("EXACT.org", at: place, family, options) == .served, note)
          #expect(try ask("a.b.deep.org", at: place, family, options) == .served, note)
          for name in ["example.com", "a.b.example.com", "deep.org", nil] {
            #expect(try ask(name, at: place, family, options) == .accessDenied, note)
          }
        }
      }
      let flows = try node.martlet("observe", "--last", "200", "-o", "json").output
      #expect(flows.contains(#""destination_names":["www.example.com"]"#))
      #expect(flows.contains("serverNames[0]"))
      try node.delete(policy)
    }

    private static let names = #""*.example.com", exact.org, "**.deep.org""#

    @Test func `a server's own policy`() throws {
      try check(manifest("tls", "ingress", Self.names), at: .pod("tls"))
    }

    @Test func `a client's policy, to a pod`() throws {
      try check(manifest("client", "egress", Self.names), at: .pod("tls"))
    }

    /// A flow of a connection that was led by a Service names it.
    @Test func `a policy's flows tell of the Service`() throws {
      let node = try SharedNode.node
      try node.apply(ServiceManifests.dualStack("secure", selector: "app: tls", ["port: 8443, targetPort: 8443"]))
      try node.waitForService("secure", backends: 1)
      let policy = manifest("client", "egress", Self.names)
      try node.apply(policy)
      for family in Family.allCases {
        let address = try node.clusterIP("secure", family)
        let end = family == .ipv4 ? "\(address):8443" : "[\(address)]:8443"
        let script = "echo Q | timeout 5 openssl s_client -connect '\(end)' -servername www.example.com 2>&1"
        _ = try node.run(["sh", "-c", script], at: .pod("client"))
        let isTold = try eventually(within: 20) {
          try node.tells(of: "secure", client: family) { $0["destination_names"] == ["www.example.com"] }
        }
        #expect(isTold, "\(family)")
      }
      try node.delete(policy)
    }

    @Test func `a client's policy, to the world`() throws {
      let node = try SharedNode.node
      let started = try servers(node).map {
        try Child(["ip", "netns", "exec", node.name + "w", "sh", "-c", "exec \($0)"])
      }
      defer { for server in started { server.end() } }
      try check(manifest("client", "egress", Self.names), at: .world)
    }

    @Test func `both ends' policies must allow a name`() throws {
      let node = try SharedNode.node
      let policies = [
        manifest("client", "egress", #""*.example.com", client.org"#),
        manifest("tls", "ingress", #""*.example.com", server.org"#),
      ]
      for policy in policies { try node.apply(policy) }
      for family in Family.allCases {
        #expect(try ask("www.example.com", at: .pod("tls"), family) == .served)
        for name in ["client.org", "server.org", "neither.org", nil] {
          #expect(try ask(name, at: .pod("tls"), family) == .accessDenied, "\(family) \(name ?? "no name")")
        }
      }
      func trace(_ name: String) throws -> Outcome {
        let words = "policy trace --from default/client --to default/tls --port 8443/TCP -o json --server-name \(name)"
        return try node.onNode([Node.binary] + words.split(separator: " ").map(String.init))
      }
      #expect(try trace("www.example.com").status == 0)
      let refused = try trace("client.org")
      let steps = try refused.json()["steps"]?.arrayValue ?? []
      #expect(refused.status == 1)
      #expect(
        steps.suffix(2).map { $0["stage"]?.stringValue } == ["tls of default/client", "tls of default/tls"],
        "\(refused)")
      #expect(steps.suffix(2).map { $0["verdict"]?.stringValue } == ["allowed", "denied"], "\(refused)")
      let words = "why default/client default/tls:8443 --server-name client.org"
      let why = try node.onNode([Node.binary] + words.split(separator: " ").map(String.init))
      #expect(why.status == 1 && why.output.contains("TLS to client.org: DENIED"), "\(why)")
      let remedy = "add this to spec.ingress[0].toPorts[0].serverNames of CiliumNetworkPolicy default/tls-ingress"
      #expect(why.output.contains(remedy) && why.output.contains("- client.org"), "\(why)")
      for policy in policies { try node.delete(policy) }
    }

    @Test func `what is no TLS gets nothing`() throws {
      let node = try SharedNode.node
      let policy = manifest("tls", "ingress", Self.names)
      try node.apply(policy)
      for family in Family.allCases {
        #expect(try node.request(from: .pod("client"), to: .pod("tls"), port: 8443, family: family) == nil)
      }
      try node.delete(policy)
    }
  }
}
