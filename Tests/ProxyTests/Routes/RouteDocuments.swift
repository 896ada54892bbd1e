import JSON
import Routing

@testable import Proxy

/// Documents as the agent writes them.
enum RouteDocuments {
  static let prefix = "type.googleapis.com/envoy."

  static func route(_ match: JSONValue = ["prefix": "/"], to cluster: String = "default/web") -> JSONValue {
    ["match": match, "route": ["cluster": .string(cluster)]]
  }

  static func host(name: String = "all", domains: [JSONValue] = ["*"], _ routes: [JSONValue]) -> JSONValue {
    ["name": .string(name), "domains": .array(domains), "routes": .array(routes)]
  }

  static func listener(_ hosts: [JSONValue], name: String = "l") -> JSONValue {
    [
      "@type": .string(prefix + "config.listener.v3.Listener"), "name": .string(name),
      "filter_chains": [
        [
          "filters": [
            [
              "name": "http",
              "typed_config": [
                "@type": .string(
                  prefix + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                "route_config": ["name": "r", "virtual_hosts": .array(hosts)],
              ],
            ]
          ]
        ]
      ],
    ]
  }

  static func cluster(_ name: String, _ rest: [String: JSONValue] = [:]) -> JSONValue {
    .object(["@type": .string(prefix + "config.cluster.v3.Cluster"), "name": .string(name)].merging(rest) { $1 })
  }

  static func assignment(_ name: String, _ endpoints: [(String, Int)], isResource: Bool = false) -> JSONValue {
    var document: JSONValue = [
      "cluster_name": .string(name),
      "endpoints": [["lb_endpoints": .array(endpoints.map { endpoint($0.0, weight: $0.1) })]],
    ]
    if isResource { document["@type"] = .string(prefix + "config.endpoint.v3.ClusterLoadAssignment") }
    return document
  }

  static func endpoint(_ address: String, port: Int64 = 80, weight: Int = 1) -> JSONValue {
    [
      "endpoint": ["address": ["socket_address": ["address": .string(address), "port_value": .integer(port)]]],
      "load_balancing_weight": .integer(Int64(weight)),
    ]
  }

  static func file(
    number: Int64 = 1, generation: String = "g", name: String = "x", services: [JSONValue] = ["default/web"],
    _ resources: [JSONValue]
  ) -> [UInt8] {
    let document: JSONValue = [
      "number": .integer(number), "generation": .string(generation),
      "object": ["kind": "CiliumEnvoyConfig", "namespace": "default", "name": .string(name)], "listener": "l",
      "services": .array(services), "resources": .array(resources),
    ]
    return document.serialized()
  }

  static func endpoints(_ clusters: [String: [(String, Int64)]], generation: Int64 = 1) -> [UInt8] {
    let document: JSONValue = [
      "generation": .integer(generation),
      "clusters": .object(
        clusters.mapValues { list in
          .array(list.map { ["address": .string($0.0), "port": .integer($0.1)] as JSONValue })
        }),
    ]
    return document.serialized()
  }
}

extension RouteBook {
  /// With one listener and these endpoints.
  static func with(_ resources: [JSONValue], _ endpoints: [String: [(String, Int64)]] = [:]) throws -> RouteBook {
    var book = RouteBook()
    try book.setEndpoints(RouteDocuments.endpoints(endpoints))
    book.setListener(1, RouteDocuments.file(resources))
    return book
  }
}

extension RoutedListener {
  /// The answer to a request in one line.
  func decision(_ url: String, _ headers: [(String, String)] = []) -> String? {
    guard
      let question = RouteQuestion(
        method: "GET", url: url, headers: headers.map { RouteQuestion.Header(name: $0.0, value: $0.1) })
    else { return nil }
    return question.withView { view in
      guard case .route(let choice) = table.choose(view, random: 0) else { return "404" }
      return choice.forwarding(view)?.cluster
    }
  }
}
