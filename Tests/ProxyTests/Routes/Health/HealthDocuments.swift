import JSON

@testable import Proxy
@testable import Routing

enum HealthDocuments {
  static func outliers(_ fields: [String: JSONValue] = [:]) throws -> OutlierDetection {
    try OutlierDetection(JSONCursor(.object(fields)))
  }

  static func check(_ fields: [String: JSONValue] = [:]) throws -> HealthCheck {
    try HealthCheck(JSONCursor(.object(checkFields(fields))))
  }

  /// Quick ones, by HTTP where nothing else is said.
  static func checkFields(_ fields: [String: JSONValue]) -> [String: JSONValue] {
    var check: [String: JSONValue] = [
      "timeout": "1s", "interval": "0.05s", "no_traffic_interval": "0.05s", "healthy_threshold": 2,
      "unhealthy_threshold": 2,
    ]
    if fields["tcp_health_check"] == nil { check["http_health_check"] = ["path": "/health"] }
    return check.merging(fields) { $1 }
  }
}
