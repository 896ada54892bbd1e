import JSON
import ProxyRules

@testable import Routing

/// The listener of an example: its routes behind a connection manager.
func listener(_ routes: JSONValue, name: JSONValue = "listener", manager: [String: JSONValue] = [:]) -> JSONValue {
  var typed: [String: JSONValue] = [
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "example", "route_config": routes,
  ]
  typed.merge(manager) { $1 }
  return [
    "@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": name,
    "filter_chains": [
      ["filters": [["name": "envoy.filters.network.http_connection_manager", "typed_config": .object(typed)]]]
    ],
  ]
}

/// A configuration with one virtual host for everything.
func configuration(_ routes: JSONValue...) -> JSONValue {
  ["name": "routes", "virtual_hosts": [["name": "all", "domains": ["*"], "routes": .array(routes)]]]
}

func resources(_ values: JSONValue...) throws -> EnvoyResources {
  try EnvoyResources(JSONCursor(.array(values), path: "spec.resources"))
}

func table(_ document: JSONValue) throws -> RouteTable {
  try RouteTable(try RouteConfiguration(JSONCursor(document)))
}

extension RouteTable {
  /// In one line: what becomes of a request.
  func decision(
    _ path: String, _ headers: [(String, String)] = [], method: String = "GET", host: String? = "a.example",
    random: UInt64 = 0, connection: ConnectionFacts = ConnectionFacts()
  ) -> String {
    let request = HTTPRequestDescription(
      method: method, path: path, host: host, headers: headers.map { (name: $0.0, value: $0.1) })
    return request.withFacts { facts in
      let view = RequestView(facts, connection: connection)
      func text(_ bytes: [UInt8]?) -> String { bytes.map { String(decoding: $0, as: UTF8.self) } ?? "" }
      switch choose(view, random: random) {
      case .notFound: return "404"
      case .redirectToTLS: return "301 \(text(LocalResponse.redirectToTLS(view).location))"
      case .route(let choice):
        if let response = choice.localResponse(view) {
          return "\(response.status) \(text(response.location))\(text(response.body))"
        }
        guard let forwarding = choice.forwarding(view, marksOriginal: false) else { return "nothing" }
        var words = [forwarding.cluster ?? "none"]
        if let path = forwarding.path { words.append("path \(text(path))") }
        if let authority = forwarding.authority { words.append("host \(text(authority))") }
        words += forwarding.headers.removed.map { "-\($0)" }
        words += forwarding.headers.added.map { "+\($0.name): \(text($0.value))" }
        return words.joined(separator: " ")
      }
    }
  }
}
