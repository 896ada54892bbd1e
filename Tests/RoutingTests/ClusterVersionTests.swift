import JSON
import Testing

@testable import Routing

@Suite struct ClusterVersionTests {
  private static let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

  private static func cluster(_ fields: [String: JSONValue]) throws(FieldError) -> Cluster {
    try Cluster(JSONCursor(.object(fields.merging(["name": "a"]) { $1 }), path: "c"))
  }

  private static func options(_ options: [String: JSONValue], type: String = name) -> [String: JSONValue] {
    let typed = options.merging(["@type": .string("type.googleapis.com/\(type)")]) { $1 }
    return ["typed_extension_protocol_options": .object([name: .object(typed)])]
  }

  static let good: [(fields: [String: JSONValue], version: Cluster.Version)] = [
    ([:], .http1),
    (["http2_protocol_options": [:]], .http2),
    (["http2ProtocolOptions": ["initialStreamWindowSize": 65536]], .http2),
    (["typed_extension_protocol_options": [:]], .http1),
    (options(["explicit_http_config": ["http_protocol_options": [:]]]), .http1),
    (options(["explicit_http_config": ["http2_protocol_options": [:]]]), .http2),
    (options(["explicitHttpConfig": ["http2ProtocolOptions": ["hpack_table_size": 1]]]), .http2),
    (options(["use_downstream_protocol_config": [:]]), .sameAsClient),
    (
      options(["use_downstream_protocol_config": ["http_protocol_options": [:], "http2_protocol_options": [:]]]),
      .sameAsClient
    ),
  ]

  @Test func `what a cluster speaks`() throws {
    for (fields, version) in Self.good {
      #expect(try Self.cluster(fields).version == version, "\(JSONValue.object(fields).text())")
    }
  }

  static let bad: [(fields: [String: JSONValue], error: String)] = [
    (
      ["http2_protocol_options": ["max_concurrent_streams": 5]],
      "c.http2_protocol_options.max_concurrent_streams: not supported"
    ),
    (["http2_protocol_options": ["allow_connect": true]], "c.http2_protocol_options.allow_connect: not supported"),
    (options([:]), "one of explicit_http_config and use_downstream_protocol_config is required"),
    (options(["auto_config": [:]]), "auto_config: not supported"),
    (options(["explicit_http_config": [:]]), "one of http_protocol_options and http2_protocol_options is required"),
    (
      options(["explicit_http_config": ["http_protocol_options": [:], "http2_protocol_options": [:]]]),
      "can not be set together with http_protocol_options"
    ),
    (options(["explicit_http_config": ["http3_protocol_options": [:]]]), "http3_protocol_options: not supported"),
    (
      options(["explicit_http_config": ["http2_protocol_options": [:]], "use_downstream_protocol_config": [:]]),
      "can not be set together with explicit_http_config"
    ),
    (
      options(["explicit_http_config": ["http2_protocol_options": [:]]], type: "envoy.Other"),
      "envoy.Other is not supported"
    ),
    (["typed_extension_protocol_options": ["envoy.filters.network.dubbo_proxy": [:]]], "not supported"),
    (
      options(["explicit_http_config": ["http2_protocol_options": [:]]]).merging(["http2_protocol_options": [:]]) {
        $1
      },
      "can not be set together with typed_extension_protocol_options"
    ),
  ]

  @Test func `what can not be followed`() {
    for (fields, expected) in Self.bad {
      var message = "accepted"
      do throws(FieldError) { _ = try Self.cluster(fields) } catch { message = "\(error)" }
      #expect(message.contains(expected), "\(message)")
    }
  }
}
