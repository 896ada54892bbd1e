import Addressing
import JSON
import KubernetesAPI
import Services

/// Objects as `kubectl get -o json` prints them, from the few words that a scenario is about.
enum Objects {
  static func service(
    _ name: String, clusterIPs: [String] = ["10.96.0.10"], type: String = "ClusterIP", spec: String = "",
    ports: String = #"{"port":80,"protocol":"TCP"}"#, created: String = "2026-01-01T00:00:00Z",
    annotations: [String: String] = [:], labels: [String: String] = [:], ingress: [String] = []
  ) throws -> Service {
    let ips = clusterIPs.map { "\"\($0)\"" }.joined(separator: ",")
    let status = ingress.map { "{\"ip\":\"\($0)\"}" }.joined(separator: ",")
    return try Service(
      JSONValue(
        parsing: """
          {"apiVersion":"v1","kind":"Service","metadata":{"name":"\(name)","namespace":"default",
           "creationTimestamp":"\(created)","annotations":\(map(annotations)),"labels":\(map(labels))},
           "spec":{"type":"\(type)","clusterIP":"\(clusterIPs.first ?? "")","clusterIPs":[\(ips)],
           "ports":[\(ports)]\(spec.isEmpty ? "" : ",")\(spec)},
           "status":{"loadBalancer":{"ingress":[\(status)]}}}
          """))
  }

  static func slice(
    _ name: String, of service: String, _ endpoints: [String], port: String = #"{"port":8080,"protocol":"TCP"}"#,
    family: String = "IPv4", annotations: [String: String] = [:]
  ) throws -> EndpointSlice {
    try EndpointSlice(
      JSONValue(
        parsing: """
          {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"\(name)",
           "namespace":"default","labels":{"kubernetes.io/service-name":"\(service)"},
           "annotations":\(map(annotations))},
           "addressType":"\(family)","ports":[\(port)],"endpoints":[\(endpoints.joined(separator: ","))]}
          """))
  }

  /// `state`: ready, terminating (and serving), gone (terminating, not serving), notReady.
  static func endpoint(
    _ address: String, node: String? = "b", state: String = "ready", zones: [String] = [], nodes: [String] = []
  ) -> String {
    let conditions =
      switch state {
      case "terminating": #"{"ready":false,"serving":true,"terminating":true}"#
      case "gone": #"{"ready":false,"serving":false,"terminating":true}"#
      case "notReady": #"{"ready":false,"serving":false}"#
      default: #"{"ready":true}"#
      }
    func hints(_ names: [String]) -> String { names.map { "{\"name\":\"\($0)\"}" }.joined(separator: ",") }
    let nodeName = node.map { ",\"nodeName\":\"\($0)\"" } ?? ""
    return """
      {"addresses":["\(address)"],"conditions":\(conditions)\(nodeName),
       "hints":{"forZones":[\(hints(zones))],"forNodes":[\(hints(nodes))]}}
      """
  }

  private static func map(_ map: [String: String]) -> String {
    "{" + map.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",") + "}"
  }
}

extension CompiledService {
  /// `address:port/protocol` -> the backends that a client of the cluster gets.
  var inside: [String: [String]] { reached { $0.cluster } }
  /// The same for everybody else; frontends that are none for them are missing.
  var outside: [String: [String]] { reached { $0.external } }

  private func reached(_ who: (Frontend) -> BalancerID?) -> [String: [String]] {
    frontends.reduce(into: [:]) { found, frontend in
      guard let id = who(frontend), let balancer = balancers[id] else { return }
      found[frontend.key.description] = balancer.members.map { "\($0.backend.address.bracketed):\($0.backend.port)" }
    }
  }

  func balancer(_ frontend: String, outside: Bool = false) -> Balancer? {
    guard let found = frontends.first(where: { $0.key.description == frontend }) else { return nil }
    return (outside ? found.external : found.cluster).flatMap { balancers[$0] }
  }
}
