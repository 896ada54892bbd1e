import JSON
import Testing

extension EndToEnd {
  /// Two nodes and a client on one segment: the client asks a routed Service at the first node, and who answers is a pod of the
  /// second node, or the first node itself.
  @Suite(.serialized) struct RoutedOutsideTests {
    @Test func `a client outside is answered by whomever the route chooses`() throws {
      try TwoNodes.with([]) { nodes in
        let (first, second) = (nodes.first, nodes.second)
        try second.runProber("server", labels: "app=server", tcp: [8080])
        let web = try Child(
          ["ip", "netns", "exec", first.name, Node.binary, "bookinfo", "serve", "ratings", "--port", "8080"],
          output: first.directory + "/web", errors: first.directory + "/web")
        first.keepUntilStop(web)
        let slices = try Family.allCases.flatMap { family in
          [
            ServiceManifests.slice(
              "far", of: "far", family, port: 8080,
              [ServiceManifests.Endpoint(address: try second.address(of: "server", family), node: second.name)]),
            ServiceManifests.slice(
              "near", of: "near", family, port: 8080,
              [ServiceManifests.Endpoint(address: nodes.address(ofNode: 1, family), node: first.name)]),
          ]
        }
        try first.apply(ServiceManifests.documents(["far", "near"].map(service) + slices))
        for service in ["far", "near"] { try first.waitForService(service, backends: 1) }
        try first.apply(ServiceManifests.documents(["far", "near"].map(routes)))
        for family in Family.allCases {
          // The server sees who asks in the client's place.
          var seen = ""
          let far = try eventually(within: 20) {
            seen = try nodes.get(family, 30581)
            return seen == "200 server \(nodes.address(ofNode: 1, family))"
          }
          #expect(far, "\(family): \(seen)\n\(first.log.suffix(2000))")
          let near = try eventually(within: 20) {
            seen = try nodes.get(family, 30582)
            return seen.hasPrefix("200 ")
          }
          #expect(near, "\(family): \(seen)\n\(first.log.suffix(2000))")
        }

        // What the node's policy says of the client itself holds for the node, whoever asks in its place.
        try first.apply(policy("198.51.100.0/24", "2001:db8:1::/64"))
        for family in Family.allCases {
          let isDenied = try eventually(within: 20) { try nodes.get(family, 30582).hasPrefix("403 ") }
          #expect(isDenied, "\(family)")
          #expect(try nodes.get(family, 30581) == "200 server \(nodes.address(ofNode: 1, family))")
        }
        try first.apply(policy("198.18.0.3/32", "fd18::3/128"))
        for family in Family.allCases {
          let isAllowed = try eventually(within: 20) { try nodes.get(family, 30582).hasPrefix("200 ") }
          #expect(isAllowed, "\(family)")
        }

        // The other node judges the first one, which is who asks there.
        try second.apply(closed)
        for family in Family.allCases {
          let isDenied = try eventually(within: 20) { try !nodes.get(family, 30581).hasPrefix("200 ") }
          #expect(isDenied, "\(family)")
        }
      }
    }
  }
}

extension TwoNodes {
  /// The status and the body of an answer to the client, from a NodePort of the first node.
  fileprivate func get(_ family: Family, _ port: Int) throws -> String {
    let address = address(ofNode: 1, family)
    let host = family == .ipv4 ? address : "[\(address)]"
    return try onClient(program, ["http://\(host):\(port)/ratings/0"]).text
  }
}

private func service(_ name: String) -> String {
  """
  apiVersion: v1
  kind: Service
  metadata: {name: \(name)}
  spec:
    type: NodePort
    ipFamilyPolicy: RequireDualStack
    ports: [{name: http, port: 80, nodePort: \(name == "far" ? 30581 : 30582)}]
  """
}

private func routes(_ name: String) -> String {
  """
  apiVersion: cilium.io/v2
  kind: CiliumEnvoyConfig
  metadata: {name: \(name)}
  spec:
    services: [{name: \(name), namespace: default}]
    resources:
      - "@type": type.googleapis.com/envoy.config.listener.v3.Listener
        name: \(name)
        filter_chains:
          - filters:
              - name: envoy.filters.network.http_connection_manager
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                  stat_prefix: \(name)
                  route_config:
                    name: \(name)
                    virtual_hosts:
                      - {name: \(name), domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: default/\(name)}}]}
  """
}

/// Who may come to the first node.
private func policy(_ blocks: String...) -> String {
  """
  apiVersion: cilium.io/v2
  kind: CiliumClusterwideNetworkPolicy
  metadata: {name: node}
  spec: {nodeSelector: {}, ingress: [{fromCIDR: [\(blocks.map { "\"\($0)\"" }.joined(separator: ", "))]}]}
  """
}

private let closed = """
  apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: closed}
  spec: {endpointSelector: {matchLabels: {app: server}}, ingress: [{fromCIDR: ["198.51.100.0/24"]}]}
  """

/// URL: the status and the body of the answer.
private let program = """
  import sys, urllib.error, urllib.request
  try:
      with urllib.request.urlopen(sys.argv[1], timeout=3) as answer: print(answer.status, answer.read().decode().strip())
  except urllib.error.HTTPError as error: print(error.code, error.read().decode().strip())
  except OSError as error: print(type(error).__name__)
  """
