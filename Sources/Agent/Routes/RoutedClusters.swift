import JSON
import Routing
import Services

/// Who answers for the clusters that routes name: `proxy/endpoints.json`.
struct RoutedClusters: Hashable, Sendable {
  /// A cluster of this port stands for the service without a port, and for each of its ports.
  static let everyPort = "*"

  private(set) var endpoints: [String: [BackendAddress]] = [:]

  /// - Parameter names: `namespace/service` or `namespace/service:port`, where a port is a number, a name or ``everyPort``.
  ///   What is no such name, or names a port that is not there, is left out.
  init(_ names: Set<String>, _ book: ServiceBook) {
    for name in names {
      guard let cluster = ServiceClusterName(name) else { continue }
      let service = ServiceName(namespace: cluster.namespace, name: cluster.service)
      guard cluster.port == RoutedClusters.everyPort else {
        endpoints[name] = book.endpoints(of: service, port: cluster.port)
        continue
      }
      endpoints["\(service)"] = book.endpoints(of: service, port: nil)
      for port in book.portNames(of: service) {
        endpoints["\(service):\(port)"] = book.endpoints(of: service, port: port)
      }
    }
  }

  init() {}

  /// The Services whose changes matter to these names.
  static func services(_ names: Set<String>) -> Set<ServiceName> {
    Set(names.compactMap(ServiceClusterName.init).map { ServiceName(namespace: $0.namespace, name: $0.service) })
  }

  func json(generation: UInt64) -> JSONValue {
    [
      "generation": .integer(Int64(clamping: generation)),
      "clusters": .object(
        endpoints.mapValues { backends in
          .array(
            backends.map {
              ["address": .string($0.address.description), "port": .integer(Int64($0.port))] as JSONValue
            })
        }),
    ]
  }
}
