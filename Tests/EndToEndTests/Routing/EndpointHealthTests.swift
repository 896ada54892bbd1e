import Glibc
import JSON
import Testing

/// A server whose status is what a file says, and a CiliumEnvoyConfig that leads a Service to it by a Cluster.
enum HealthManifests {
  static let server = """
    import http.server, socket, sys

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            status = int(open(sys.argv[2]).read())
            body = sys.argv[1].encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_): pass

    Server(("::", 9080), Handler).serve_forever()
    """

  static func routes(_ cluster: String) -> String {
    """
    apiVersion: cilium.io/v2
    kind: CiliumEnvoyConfig
    metadata: {name: shop}
    spec:
      services: [{name: shop, namespace: default}]
      resources:
        - "@type": type.googleapis.com/envoy.config.listener.v3.Listener
          name: shop
          filter_chains:
            - filters:
                - name: envoy.filters.network.http_connection_manager
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                    stat_prefix: shop
                    route_config:
                      name: shop
                      virtual_hosts:
                        - {name: shop, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: c}}]}
        - {"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster, name: c, \(cluster)}
    """
  }

  static func ofService(_ fields: String) -> String {
    routes("type: EDS, eds_cluster_config: {service_name: default/shop}, \(fields)")
  }
}

extension Node {
  /// The status of a request to the Service `shop`.
  fileprivate func shop(_ family: Family) throws -> String {
    let address = try clusterIP("shop", family)
    let host = family == .ipv4 ? address : "[\(address)]"
    return try run(
      Node.requestCommand("http://\(host):9080/", timeout: 5, statusOnly: true), at: .pod("client")
    ).text
  }

  /// How the endpoints of the route to `shop` are.
  fileprivate func shopEndpoints() throws -> [JSONValue] {
    let answer = try onNode([Node.binary, "route", "why", "GET", "http://shop:9080/", "-o", "json"]).json()
    return answer["clusters"]?.arrayValue?.first?["endpoints"]?.arrayValue ?? []
  }

  /// The addresses of the unhealthy ones.
  fileprivate func unhealthy() throws -> Set<String> {
    Set(try shopEndpoints().filter { $0["health"] == "unhealthy" }.compactMap { $0["address"]?.stringValue })
  }

  fileprivate func endpoints(of pod: String) throws -> Set<String> {
    Set(
      try Family.allCases.map { family in
        let address = try address(of: .pod(pod), family)
        return family == .ipv4 ? "\(address):9080" : "[\(address)]:9080"
      })
  }

  fileprivate func setStatus(_ pod: String, _ status: Int) throws {
    // Replaced whole, for the server reads it at any time.
    try write("\(status)", to: "\(directory)/\(pod).new")
    guard rename("\(directory)/\(pod).new", "\(directory)/\(pod)") == 0 else { throw Failure("rename: \(errno)") }
  }
}

private func prepare(_ node: Node) throws {
  try node.apply(
    ServiceManifests.documents([
      ServiceManifests.dualStack("shop", selector: "app: shop", ["name: http, port: 9080"])
    ]))
  try write(HealthManifests.server, to: node.directory + "/server.py")
  for pod in ["one", "two"] {
    try node.setStatus(pod, 200)
    try node.runPod(
      pod, labels: "app=shop,version=\(pod)",
      command: ["python3", node.directory + "/server.py", pod, "\(node.directory)/\(pod)"], ports: ["http=9080"])
  }
  try node.runPod("client", labels: "app=client")
  try node.waitForService("shop", backends: 2)
}

extension EndToEnd {
  /// Which endpoints of a routed cluster serve.
  @Suite(.serialized, .node(prepare)) struct EndpointHealthTests {
    private func follow(_ node: Node, _ manifest: String) throws {
      try node.apply(manifest)
      let isRouted = try eventually(within: 20) {
        try node.shopEndpoints().count == 4 && Family.allCases.allSatisfy { try node.shop($0) == "200" }
      }
      guard isRouted else {
        throw Failure("\(try node.kubectl("get", "ciliumenvoyconfig", "shop", "-o", "yaml"))\n\(node.log)")
      }
    }

    @Test func `a backend that begins to fail is taken out`() throws {
      let node = try SharedNode.node
      let manifest = HealthManifests.ofService(
        "outlier_detection: {consecutive_5xx: 3, max_ejection_percent: 50, base_ejection_time: 600s}")
      try follow(node, manifest)
      #expect(try node.unhealthy() == [])
      try node.setStatus("two", 500)
      for family in Family.allCases {
        var failures = 0
        for _ in 0..<12 where try node.shop(family) == "500" { failures += 1 }
        #expect(failures == 3, "\(family)")
      }
      #expect(try eventually(within: 20) { try node.unhealthy() == node.endpoints(of: "two") })
      for family in Family.allCases {
        for _ in 0..<10 { #expect(try node.shop(family) == "200") }
      }
      let why = try node.martlet("route", "why", "GET", "http://shop:9080/").output
      #expect(why.contains("unhealthy: ejected until") && why.contains("3 answers of 5xx in a row"), "\(why)")
      let list = try node.martlet("route", "list").output
      #expect(list.contains("c (2 of 4)"), "\(list)")
      let address = try node.address(of: .pod("two"), .ipv4)
      #expect(node.log.contains("CiliumEnvoyConfig default/shop, cluster c: endpoint \(address):9080 is ejected until"))
      try node.setStatus("two", 200)
      try node.delete(manifest)
    }

    @Test func `a backend that fails its checks gets no requests until it passes them`() throws {
      let node = try SharedNode.node
      // The node's own programs reach a pod whatever its policies say, and its checks are by one of these.
      let policy = PolicyCase(
        "",
        spec: """
          endpointSelector: {matchLabels: {version: two}}
          ingress: [{fromEndpoints: [{matchLabels: {app: client}}]}]
          """
      ).manifest
      try node.apply(policy)
      let manifest = HealthManifests.ofService(
        """
        health_checks: [{timeout: 2s, interval: 0.2s, no_traffic_interval: 0.2s, healthy_threshold: 1,
          unhealthy_threshold: 1, http_health_check: {path: /health}}]
        """)
      try follow(node, manifest)
      #expect(try eventually(within: 20) { try node.unhealthy() == [] })
      try node.setStatus("two", 503)
      #expect(try eventually(within: 20) { try node.unhealthy() == node.endpoints(of: "two") })
      let why = try node.martlet("route", "why", "GET", "http://shop:9080/").output
      #expect(why.contains("unhealthy: failed check: status 503"), "\(why)")
      for family in Family.allCases {
        for _ in 0..<8 { #expect(try node.shop(family) == "200") }
      }
      try node.setStatus("two", 200)
      #expect(try eventually(within: 20) { try node.unhealthy() == [] })
      try node.delete(manifest)
      try node.delete(policy)
    }
  }
}
