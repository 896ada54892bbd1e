import Foundation
import Testing

/// A server that speaks HTTP/2 only, behind a Service whose port says so.
private func prepare(_ node: Node) throws {
  try node.apply(
    ServiceManifests.dualStack(
      "h2shop", selector: "app: h2shop", ["name: http, port: 9081, appProtocol: kubernetes.io/h2c"]))
  try node.runPod(
    "h2shop", labels: "app=h2shop", command: ["nghttpd", "--no-tls", "-d", "/etc", "9081"],
    ports: ["http=9081"])
  try node.runPod("h2buyer", labels: "app=h2buyer")
  try node.waitForService("h2shop", backends: 1)
  try node.apply(manifest)
}

private let manifest = """
  apiVersion: cilium.io/v2
  kind: CiliumEnvoyConfig
  metadata: {name: h2shop}
  spec:
    services: [{name: h2shop, namespace: default}]
    resources:
      - "@type": type.googleapis.com/envoy.config.listener.v3.Listener
        name: h2shop
        filter_chains:
          - filters:
              - name: envoy.filters.network.http_connection_manager
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                  stat_prefix: h2shop
                  route_config:
                    name: h2shop
                    virtual_hosts:
                      - name: all
                        domains: ["*"]
                        routes:
                          - match: {prefix: /short}
                            direct_response: {status: 418}
                          - match: {prefix: /}
                            route: {cluster: default/h2shop}
                            response_headers_to_add: [{header: {key: x-version, value: "%PROTOCOL%"}}]
  """

private let policy = PolicyCase(
  "",
  spec: """
    endpointSelector: {matchLabels: {app: h2shop}}
    ingress:
      - fromEndpoints: [{matchLabels: {app: h2buyer}}]
        toPorts: [{ports: [{port: "9081", protocol: TCP}], rules: {http: [{method: GET, path: "/hosts.*"}]}}]
    """
).manifest

extension EndToEnd {
  /// Routes between programs that speak HTTP/2, at a Service's address.
  @Suite(.serialized, .node(prepare)) struct RoutedHTTP2Tests {
    @Test func `streams are routed and judged one by one`() throws {
      let node = try SharedNode.node
      try node.apply(policy)
      defer { try? node.delete(policy) }
      for family in Family.allCases {
        let address = try node.clusterIP("h2shop", family)
        let base = "http://\(family == .ipv4 ? address : "[\(address)]"):9081"
        var output = ""
        let isRouted = try eventually(within: 10) {
          // One connection for all.
          let urls = ["/hosts", "/services", "/short", "/hosts?again"].map { base + $0 }
          output = try node.exec("h2buyer", ["nghttp", "-nv", "--no-dep"] + urls).output
          let statuses = output.split(separator: "\n").compactMap { line in
            line.split(separator: ":status: ").dropFirst().first.map(String.init)
          }
          return statuses.sorted() == ["200", "200", "403", "418"]
        }
        #expect(isRouted, "\(family): \(output)")
        #expect(output.components(separatedBy: " Connected").count == 2, "\(family): \(output)")
        #expect(output.components(separatedBy: "x-version: HTTP/2").count >= 3, "\(family): \(output)")
        // A client of HTTP/1.1 reaches the same server.
        let old = try node.exec(
          "h2buyer", ["curl", "-gs", "--http1.1", "-o", "/dev/null", "-w", "%{http_code}", base + "/hosts"])
        #expect(old.output.hasSuffix("200"), "\(family): \(old)")
      }
      let seen = try eventually(within: 5) {
        let flows = try node.martlet(
          "observe", "--last", "100", "--to-pod", "default/h2shop", "--http-status", "403", "-o", "json")
        return flows.output.contains(#""protocol":"HTTP/2""#)
      }
      #expect(seen)
    }
  }
}
