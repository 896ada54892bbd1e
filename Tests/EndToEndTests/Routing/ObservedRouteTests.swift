import JSON
import Testing

/// A server that answers with the headers that it got, and in the world a collector that writes down what it is sent.
private enum Programs {
  static let server = """
    import http.server, json, socket
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            body = json.dumps({k.lower(): v for k, v in self.headers.items()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args): pass
    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6
    Server(("::", 9080), Handler).serve_forever()
    """

  static let collector = """
    import http.server, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with open(sys.argv[1], "ab") as out: out.write(body + b"\\n")
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
        def log_message(self, *args): pass
    http.server.ThreadingHTTPServer(("192.0.2.2", 4318), Handler).serve_forever()
    """
}

private func prepare(_ node: Node) throws {
  try node.apply(
    ServiceManifests.documents([
      ServiceManifests.dualStack("shop", selector: "app: shop", ["name: http, port: 9080"])
    ]))
  try node.runPod("shop", labels: "app=shop", command: ["python3", "-c", Programs.server], ports: ["http=9080"])
  try node.runPod("client", labels: "app=client")
  try node.waitForService("shop", backends: 1)
}

private func manifest(path: String = "shop.log") -> String {
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
                  access_log:
                    - name: envoy.access_loggers.file
                      typed_config:
                        "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
                        path: \(path)
                        log_format:
                          json_format:
                            code: "%RESPONSE_CODE%"
                            path: "%REQ(:PATH)%"
                            client: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
                            trace: "%TRACE_ID%"
                            cluster: "%UPSTREAM_CLUSTER%"
                  tracing:
                    spawn_upstream_span: true
                    provider:
                      name: envoy.tracers.opentelemetry
                      typed_config:
                        "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                        service_name: shop
                        http_service:
                          http_uri: {uri: "http://collector:4318/v1/traces", cluster: collector, timeout: 1s}
                  route_config:
                    name: shop
                    virtual_hosts:
                      - {name: shop, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: "default/shop"}}]}
      - "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
        name: collector
        type: STATIC
        load_assignment:
          cluster_name: collector
          endpoints:
            - lb_endpoints:
                - {endpoint: {address: {socket_address: {address: 192.0.2.2, port_value: 4318}}}}
  """
}

extension EndToEnd {
  /// What a node tells of routed requests: lines, spans and flows.
  @Suite(.serialized, .node(prepare)) struct ObservedRouteTests {
    private func ask(_ node: Node, _ path: String, _ family: Family, _ headers: [String] = []) throws -> JSONValue? {
      let address = try node.clusterIP("shop", family)
      let host = family == .ipv4 ? address : "[\(address)]"
      let command = Node.requestCommand("http://\(host):9080\(path)", headers: headers, timeout: 3)
      return try? node.run(command, at: .pod("client")).json()
    }

    private func spans(_ file: String) -> [JSONValue] {
      read(file).split(separator: "\n").flatMap { line -> [JSONValue] in
        let body = try? JSONValue(parsing: Array(line.utf8))
        return (body?["resourceSpans"]?.arrayValue ?? []).flatMap { resource in
          (resource["scopeSpans"]?.arrayValue ?? []).flatMap { $0["spans"]?.arrayValue ?? [] }
        }
      }
    }

    @Test func `lines, spans and flows tell of one trace, and nobody needs a collector`() throws {
      let node = try SharedNode.node
      let file = node.directory + "/spans"
      let collector = try Child(
        node.invocation(["python3", "-c", Programs.collector, file], at: .world), output: node.directory + "/collector",
        errors: node.directory + "/collector")
      node.keepUntilStop(collector)
      let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
      let header = "traceparent: 00-\(trace)-00f067aa0ba902b7-01"
      try node.apply(manifest())
      let isTraced = try eventually(within: 20) {
        try ask(node, "/warm", .ipv4)?["traceparent"] != nil
      }
      guard isTraced else {
        let object = try node.kubectl("get", "ciliumenvoyconfig", "shop", "-o", "yaml")
        throw Failure("no traceparent: \(object)\n\(node.log)")
      }
      var told: [String] = []
      for family in Family.allCases {
        let seen = try ask(node, "/\(family)", family, [header])?["traceparent"]?.stringValue ?? ""
        let parts = seen.split(separator: "-").map(String.init)
        #expect(parts.count == 4 && parts[1] == trace && parts[3] == "01", "\(seen)")
        if parts.count == 4 { told.append(parts[2]) }
      }
      let log = node.state + "/proxy/access-logs/default/shop.log"
      var lines: [JSONValue] = []
      let isLogged = eventually(within: 20) {
        lines = read(log).split(separator: "\n").compactMap { try? JSONValue(parsing: Array($0.utf8)) }
          .filter { $0["trace"]?.stringValue == trace }
        return lines.count >= 2
      }
      #expect(isLogged, "\(read(log))")
      for (line, family) in zip(lines, Family.allCases) {
        #expect(line["code"] == 200 && line["path"] == .string("/\(family)") && line["cluster"] == "default/shop")
        #expect(try line["client"]?.stringValue == node.address(of: .pod("client"), family))
      }
      var found: [JSONValue] = []
      let isExported = eventually(within: 20) {
        found = spans(file).filter { $0["traceId"]?.stringValue == trace }
        return found.count >= 4
      }
      #expect(isExported, "\(read(file))\n\(node.log)")
      // What the servers got is the spans' of the requests to them, whose parents are those of the clients' requests.
      for id in told {
        let upstream = try #require(found.first { $0["spanId"]?.stringValue == id })
        let span = try #require(found.first { $0["spanId"] == upstream["parentSpanId"] })
        #expect(upstream["kind"] == 3 && span["kind"] == 2 && span["parentSpanId"] == "00f067aa0ba902b7")
      }
      let isObserved = try eventually(within: 20) {
        let flows = try node.martlet("observe", "--trace-id", trace, "--last", "100", "-o", "json").output
          .split(separator: "\n").compactMap { try? JSONValue(parsing: Array($0.utf8)) }
        return flows.count == 2
          && flows.allSatisfy { $0["flow"]?["trace_context"]?["parent"]?["trace_id"]?.stringValue == trace }
      }
      #expect(isObserved)

      collector.signal(9)
      collector.wait()
      for number in 0..<50 {
        let family = Family.allCases[number % 2]
        #expect(try ask(node, "/gone", family)?["traceparent"] != nil, "\(number)")
      }
      let isCounted = try eventually(within: 60) {
        try node.metrics(9964)["martlet_trace_dropped_spans_total"] == 100
      }
      let counted = try node.metrics(9964).filter { $0.key.contains("trace") }
      #expect(isCounted, "\(counted)")
      try node.delete(manifest())
    }

    @Test func `a file elsewhere is refused by its path`() throws {
      let node = try SharedNode.node
      let broken = manifest(path: "/etc/martlet-access-log")
      _ = try node.kubectl("apply", "-f", "-", stdin: broken)
      var status = ""
      let isTold = try eventually(within: 10) {
        status = try node.kubectl("get", "ciliumenvoyconfig", "shop", "-o", "jsonpath={.status}").text
        return status.contains("access_log[0].typed_config.path: must be /dev/stdout")
      }
      #expect(isTold, "\(status)")
      try node.delete(broken)
    }
  }
}
