import JSON
import Testing

@testable import Routing

/// Access logs and traces, as they are written.
@Suite struct AccessLogConfigTests {
  static let file = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
  static let stdout = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"

  private func manager(_ members: [String: JSONValue]) throws -> HTTPConnectionManager {
    var manager = members
    manager["stat_prefix"] = "x"
    manager["route_config"] = ["virtual_hosts": []]
    return try HTTPConnectionManager(JSONCursor(.object(manager)))
  }

  private func logger(_ config: [String: JSONValue], filter: JSONValue? = nil) -> [String: JSONValue] {
    var log: [String: JSONValue] = ["name": "l", "typed_config": .object(config)]
    if let filter { log["filter"] = filter }
    return ["access_log": [.object(log)]]
  }

  private func error(_ members: [String: JSONValue]) -> String? {
    do {
      _ = try manager(members)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func `targets are the proxy's output and plain files`() throws {
    func target(_ path: String) throws -> AccessLogger.Target {
      try manager(logger(["@type": .string(Self.file), "path": .string(path)])).accessLoggers[0].target
    }
    #expect(try target("/dev/stdout") == .output)
    #expect(try target("/dev/stderr") == .errors)
    #expect(try target("reviews-v1_access.log") == .file("reviews-v1_access.log"))
    for path in [
      "/etc/passwd", "../x", "a/b", ".hidden", "", "/dev/null", "a b", "x.log.1", "x\u{0}", "é", "~", "/",
      String(repeating: "x", count: 101),
    ] {
      let message = error(logger(["@type": .string(Self.file), "path": .string(path)]))
      #expect(
        message?.hasPrefix("access_log[0].typed_config.path: must be /dev/stdout, /dev/stderr, or the name") == true,
        "\(path): \(message ?? "accepted")")
    }
  }

  @Test(arguments: [
    ("%NO_SUCH_THING%", "variable %NO_SUCH_THING% is not supported"), ("%TRAILER(x)%", "variable %TRAILER(x)% is not"),
    ("%PROTOCOL(x)%", "variable %PROTOCOL(x)% is not"), ("%REQ(a b)%", "variable %REQ(a b)% is not"),
    ("%START_TIME(%Q)%", "variable %START_TIME(%Q)% is not"), ("50%", "% without an end"),
    ("%REQ(x):y%", "variable %REQ(x):y% is not"), ("%DYNAMIC_METADATA(a)%", "variable %DYNAMIC_METADATA(a)% is not"),
  ]) func `operators that are not known are refused by their path`(_ text: String, _ message: String) {
    let format: JSONValue = ["json_format": ["a": ["b": .array([.string(text)])]]]
    let found = error(logger(["@type": .string(Self.stdout), "log_format": format]))
    let path = "access_log[0].typed_config.log_format.json_format.a.b[0]"
    #expect(found?.hasPrefix("\(path): \(message)") == true, "\(found ?? "")")
    let plain = error(
      logger(["@type": .string(Self.stdout), "log_format": ["text_format_source": ["inline_string": .string(text)]]]))
    #expect(
      plain?.hasPrefix("access_log[0].typed_config.log_format.text_format_source.inline_string: \(message)") == true)
  }

  static let badFilters: [(JSONValue, String)] = [
    ([:], "access_log[0].filter: needs one of its filters"),
    (["grpc_status_filter": ["statuses": ["OK"]]], "access_log[0].filter.grpc_status_filter: not supported"),
    (
      ["and_filter": ["filters": [["not_health_check_filter": [:]]]]],
      "access_log[0].filter.and_filter.filters: must be two filters at least"
    ),
    (
      ["response_flag_filter": ["flags": ["XX"]]],
      "access_log[0].filter.response_flag_filter.flags[0]: \"XX\" is no response flag"
    ),
    (
      ["status_code_filter": ["comparison": ["op": "GT", "value": ["default_value": 1]]]],
      "access_log[0].filter.status_code_filter.comparison.op: must be one of EQ, GE, LE, NE"
    ),
  ]

  @Test(arguments: badFilters) func `filters that are not good are refused by their path`(
    _ filter: JSONValue, _ message: String
  ) {
    #expect(error(logger(["@type": .string(Self.stdout)], filter: filter)) == message)
  }

  @Test func `other loggers are refused`() {
    let message = error(
      logger(["@type": "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"]))
    #expect(message?.hasPrefix("access_log[0].typed_config[@type]: envoy.extensions.access_loggers.grpc") == true)
  }

  // MARK: Traces

  private func tracing(_ change: (inout JSONValue) -> Void) -> [String: JSONValue] {
    var tracing: JSONValue = [
      "provider": [
        "name": "otel",
        "typed_config": [
          "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig", "service_name": "shop",
          "http_service": [
            "http_uri": ["uri": "http://collector:4318/v1/traces", "cluster": "ns/collector:4318", "timeout": "1s"]
          ],
        ],
      ]
    ]
    change(&tracing)
    return ["tracing": tracing]
  }

  @Test func `a collector is read`() throws {
    let manager = try manager(
      tracing {
        $0["random_sampling"] = ["value": 12.5]
        $0["custom_tags"] = [
          ["tag": "a", "literal": ["value": "b"]],
          ["tag": "c", "request_header": ["name": "X-C", "default_value": "d"]],
        ]
      })
    let tracing = try #require(manager.tracing)
    #expect(tracing.random == Fraction(percent: 12.5))
    #expect(tracing.collector.host == "collector:4318" && tracing.collector.path == "/v1/traces")
    #expect(tracing.collector.serviceName == "shop" && tracing.maximumPath == 256)
    #expect(tracing.tags.map(\.value) == [.literal("b"), .header("x-c", otherwise: "d")])
  }

  @Test func `what is not done is refused by its path`() {
    let config = "tracing.provider.typed_config"
    func typed(_ key: String, _ value: JSONValue) -> [String: JSONValue] {
      tracing { $0["provider"]?["typed_config"]?[key] = value }
    }
    func uri(_ key: String, _ value: JSONValue) -> [String: JSONValue] {
      tracing { $0["provider"]?["typed_config"]?["http_service"]?["http_uri"]?[key] = value }
    }
    for (members, message) in [
      (typed("grpc_service", ["envoy_grpc": ["cluster_name": "x"]]), "\(config).grpc_service: not supported"),
      (
        typed("@type", "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig"), "\(config)[@type]: envoy.config.trace"
      ),
      (uri("uri", "https://collector/v1/traces"), "\(config).http_service.http_uri.uri: must begin with http://"),
      (uri("uri", "http://a@b/"), "\(config).http_service.http_uri.uri: is not http://HOST/PATH"),
      (uri("timeout", "0s"), "\(config).http_service.http_uri.timeout: must be more than zero"),
      (tracing { $0["random_sampling"] = ["value": 101] }, "tracing.random_sampling.value: must be from 0 to 100"),
      (
        tracing { $0["custom_tags"] = [["tag": "a", "environment": ["name": "HOME"]]] },
        "tracing.custom_tags[0].environment: not supported"
      ),
      (tracing { $0["verbose"] = true }, "tracing.verbose: not supported"),
      (tracing { $0["provider"] = nil }, "tracing.provider: required"),
    ] {
      let found = error(members)
      #expect(found?.hasPrefix(message) == true, "\(found ?? "accepted")")
    }
  }

  @Test func `a collector that nothing declares is refused`() throws {
    let manager = try manager(tracing { _ in })
    guard case .inline(let routes) = manager.routes else { return }
    let names = ClusterNames(EnvoyResources(), services: [])
    #expect(throws: FieldError.self) { try names.targets(of: routes, collector: manager.tracing?.collector.cluster) }
    let listed = ClusterNames(EnvoyResources(), services: [ServiceClusterName("ns/collector")].compactMap { $0 })
    #expect(
      try listed.targets(of: routes, collector: manager.tracing?.collector.cluster).keys.sorted()
        == ["ns/collector:4318"])
  }
}
