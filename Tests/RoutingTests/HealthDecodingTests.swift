import JSON
import Testing

@testable import Routing

/// The fields that say which endpoints of a cluster serve.
@Suite struct HealthDecodingTests {
  private static func cluster(_ fields: [String: JSONValue]) -> JSONCursor {
    let base: [String: JSONValue] = [
      "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "c",
    ]
    return JSONCursor(.object(base.merging(fields) { $1 }), path: "c")
  }

  private static let check: [String: JSONValue] = [
    "timeout": "1s", "interval": "2s", "healthy_threshold": 1, "unhealthy_threshold": 2,
  ]

  private static func check(_ fields: [String: JSONValue]) -> [String: JSONValue] {
    ["health_checks": [.object(check.merging(fields) { $1 })]]
  }

  private static func http(_ fields: [String: JSONValue]) -> [String: JSONValue] {
    check(["http_health_check": .object(["path": "/"].merging(fields) { $1 })])
  }

  private static func named(_ type: String, _ name: String, count: Int = 1) -> [String: JSONValue] {
    let endpoint: JSONValue = [
      "endpoint": ["address": ["socket_address": ["address": .string(name), "port_value": 80]]]
    ]
    return [
      "type": .string(type),
      "load_assignment": [
        "cluster_name": "c", "endpoints": [["lb_endpoints": .array(Array(repeating: endpoint, count: count))]],
      ],
    ]
  }

  static let refusals: [(fields: [String: JSONValue], path: String, message: String)] = [
    (["outlier_detection": ["monitors": ["a": 1]]], ".outlier_detection.monitors", "not supported"),
    (
      ["outlier_detection": ["detect_degraded_hosts": true]], ".outlier_detection.detect_degraded_hosts",
      "not supported"
    ),
    (
      ["outlier_detection": ["max_ejection_percent": 101]], ".outlier_detection.max_ejection_percent",
      "must be from 0 to 100, is 101"
    ),
    (["outlier_detection": ["interval": "0s"]], ".outlier_detection.interval", "must be more than 0s"),
    (
      ["outlier_detection": ["base_ejection_time": "2s", "max_ejection_time": "1s"]],
      ".outlier_detection.max_ejection_time", "is less than base_ejection_time"
    ),
    (
      ["outlier_detection": ["consecutive_6xx": 1]], ".outlier_detection.consecutive_6xx",
      "unknown field of envoy.config.cluster.v3.OutlierDetection"
    ),
    (
      ["common_lb_config": ["healthy_panic_threshold": ["value": 100.5]]],
      ".common_lb_config.healthy_panic_threshold.value", "must be a number from 0 to 100"
    ),
    (
      ["common_lb_config": ["zone_aware_lb_config": .object([:])]], ".common_lb_config.zone_aware_lb_config",
      "not supported"
    ),
    (
      ["common_lb_config": ["locality_weighted_lb_config": .object([:])]],
      ".common_lb_config.locality_weighted_lb_config", "not supported"
    ),
    (["health_checks": [.object(check)]], ".health_checks[0]", "needs http_health_check or tcp_health_check"),
    (
      [
        "health_checks": [
          .object(check.merging(["tcp_health_check": .object([:])]) { $1 }),
          .object(check.merging(["tcp_health_check": .object([:])]) { $1 }),
        ]
      ],
      ".health_checks", "can not be more than one"
    ),
    (check(["grpc_health_check": .object([:])]), ".health_checks[0].grpc_health_check", "not supported"),
    (
      check(["tcp_health_check": .object([:]), "reuse_connection": true]), ".health_checks[0].reuse_connection",
      "not supported"
    ),
    (check(["tcp_health_check": .object([:]), "timeout": .null]), ".health_checks[0].timeout", "required"),
    (
      check(["tcp_health_check": .object([:]), "healthy_threshold": .null]), ".health_checks[0].healthy_threshold",
      "required"
    ),
    (
      check(["tcp_health_check": ["receive": [["text": "0"]]]]), ".health_checks[0].tcp_health_check.receive[0].text",
      "is not hexadecimal"
    ),
    (
      check(["tcp_health_check": ["send": ["text": "00"]]]), ".health_checks[0].tcp_health_check.send",
      "is never sent without receive: the connection is enough then"
    ),
    (http(["send": ["text": "00"]]), ".health_checks[0].http_health_check.send", "not supported"),
    (http(["receive": [["text": "00"]]]), ".health_checks[0].http_health_check.receive", "not supported"),
    (http([:]).merging(["name": "a b"]) { $1 }, ".name", "space or control character in a host"),
    (http(["path": "x"]), ".health_checks[0].http_health_check.path", "must begin with a slash"),
    (http(["path": "/ HTTP/1.1"]), ".health_checks[0].http_health_check.path", "space or control character in a path"),
    (http(["method": "CONNECT"]), ".health_checks[0].http_health_check.method", "can not be CONNECT"),
    (
      http(["codec_client_type": "HTTP2"]), ".health_checks[0].http_health_check.codec_client_type",
      "is not supported; HTTP1 is"
    ),
    (
      http(["expected_statuses": [["start": 200, "end": 200]]]),
      ".health_checks[0].http_health_check.expected_statuses[0]", "start must be less than end"
    ),
    (
      http(["request_headers_to_add": [["header": ["key": "a", "value": "%START_TIME%"]]]]),
      ".health_checks[0].http_health_check.request_headers_to_add[0].header.value",
      "variable %START_TIME% is not supported"
    ),
    (
      http(["request_headers_to_add": [["header": ["key": "a", "value": "%PROTOCOL%"]]]]),
      ".health_checks[0].http_health_check.request_headers_to_add[0]", "variables mean nothing in a check"
    ),
    (
      named("STATIC", "a.example"),
      ".load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address",
      "must be an IP address: only STRICT_DNS and LOGICAL_DNS resolve names"
    ),
    (
      named("STRICT_DNS", "a b"),
      ".load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address",
      "is no name"
    ),
    (
      named("LOGICAL_DNS", "a", count: 2), ".load_assignment",
      "must have one endpoint for a cluster of type LOGICAL_DNS"
    ),
    (["dns_refresh_rate": "1s"], ".dns_refresh_rate", "is only for clusters of type STRICT_DNS and LOGICAL_DNS"),
    (named("STRICT_DNS", "a").merging(["respect_dns_ttl": true]) { $1 }, ".respect_dns_ttl", "not supported"),
    (
      named("STRICT_DNS", "a").merging(["dns_failure_refresh_rate": ["base_interval": "2s", "max_interval": "1s"]]) {
        $1
      },
      ".dns_failure_refresh_rate", "max_interval is less than base_interval"
    ),
  ]

  @Test(arguments: refusals.indices) func `what is refused, with its path`(_ index: Int) {
    let (fields, path, message) = Self.refusals[index]
    #expect(throws: FieldError(path: "c" + path, message: message)) { try Cluster(Self.cluster(fields)) }
  }

  @Test func `Envoy's defaults`() throws {
    let cluster = try Cluster(Self.cluster(["outlier_detection": .object([:])]))
    let detection = try #require(cluster.outlierDetection)
    #expect(detection.consecutive.values.allSatisfy { $0 == 5 })
    #expect(detection.enforcing[.consecutive5xx] == 100 && detection.enforcing[.consecutiveGatewayFailure] == 0)
    #expect(detection.enforcing[.failurePercentage] == 0 && detection.enforcing[.successRate] == 100)
    #expect(detection.interval == .seconds(10) && detection.baseEjectionTime == .seconds(30))
    #expect(detection.maximumEjectionTime == .seconds(300) && detection.maximumEjectionPercent == 10)
    #expect(detection.deviations == 1900 && detection.failureThreshold == 85)
    #expect(!detection.alwaysEjectsOne && detection.returnsWithPassedCheck && !detection.splitsLocalOrigin)
    #expect(cluster.common.panicThreshold == 50 && cluster.healthCheck == nil)
    let long = try Cluster(Self.cluster(["outlier_detection": ["base_ejection_time": "400s"]]))
    #expect(long.outlierDetection?.maximumEjectionTime == .seconds(400))
    // What is there and empty is zero, as in protobuf.
    let none = try Cluster(Self.cluster(["common_lb_config": ["healthy_panic_threshold": .object([:])]]))
    #expect(none.common.panicThreshold == 0)
  }

  @Test func `what an endpoint says of its checks`() throws {
    let endpoint: JSONValue = [
      "health_status": "DRAINING",
      "endpoint": [
        "address": ["socket_address": ["address": "10.0.0.1", "port_value": 80]],
        "health_check_config": [
          "port_value": 8080, "hostname": "h", "disable_active_health_check": true,
          "address": ["socket_address": ["address": "fd00::1", "port_value": 9]],
        ],
      ],
    ]
    let assignment = try LoadAssignment(
      JSONCursor(["cluster_name": "c", "endpoints": [["lb_endpoints": [endpoint]]]]))
    let read = try #require(assignment.endpoints.first)
    #expect(read.status == .draining && read.check.port == 8080 && read.check.hostname == "h" && read.check.isDisabled)
    #expect(read.check.address?.description == "fd00::1")
  }
}
