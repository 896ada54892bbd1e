import JSON
import Testing

extension EndToEnd {
  /// HTTP rules over HTTP/2 with prior knowledge, from nghttp to nghttpd, in both families.
  @Suite(
    .serialized,
    .node { node in
      try node.runPod(
        "h2server", labels: "app=h2server", command: ["nghttpd", "--no-tls", "-d", "/etc", "9081"],
        ports: ["http=9081"])
      try node.runPod("h2client", labels: "app=h2client")
    })
  struct HTTP2Tests {
    private static let manifest = """
      apiVersion: cilium.io/v2
      kind: CiliumNetworkPolicy
      metadata: {name: http2}
      spec:
        endpointSelector: {matchLabels: {app: h2server}}
        ingress:
          - fromEndpoints: [{matchLabels: {app: h2client}}]
            toPorts:
              - ports: [{port: "9081", protocol: TCP}]
                rules: {http: [{method: GET, path: "/hosts.*"}]}
      """

    @Test func `each request of a connection is judged`() throws {
      let node = try SharedNode.node
      try node.apply(Self.manifest)
      defer { try? node.delete(Self.manifest) }
      for family in Family.allCases {
        let urls = try ["/hosts", "/services", "/hosts?again"].map {
          try node.url(of: .pod("h2server"), port: 9081, path: $0, family)
        }
        // One connection for all, which only says more where something ends it.
        let outcome = try node.exec("h2client", ["nghttp", "-nv", "--no-dep"] + urls)
        let statuses = outcome.output.split(separator: "\n").compactMap { line in
          line.split(separator: ":status: ").dropFirst().first.map(String.init)
        }
        #expect(statuses.sorted() == ["200", "200", "403"], "\(family): \(outcome)")
        #expect(outcome.output.split(separator: " Connected").count == 2, "\(family): \(outcome)")
      }
      let seen = try eventually(within: 5) {
        let flows = try node.martlet(
          "observe", "--last", "100", "--to-pod", "default/h2server", "--http-status", "403", "-o", "json")
        return flows.output.contains(#""protocol":"HTTP/2""#)
      }
      #expect(seen)
    }
  }
}
