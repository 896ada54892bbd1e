import JSON
import Routing
import Services

/// Who answers for the clusters that routes name: `proxy/endpoints.json`.
struct RoutedClusters: Hashable, Sendable {
  /// A cluster of this port stands for the service without a port, and for each of its ports.
  static let everyPort = "*"

  private(set) var endpoints: [String: [BackendAddress]] = [:]
  /// Those to whom HTTP/2 is spoken.
  private(set) var http2: Set<String> = []

  /// What a Service's port calls HTTP/2 without TLS.
  private static let http2Names: Set<String> = ["kubernetes.io/h2c", "grpc"]

  /// - Parameter names: `namespace/service` or `namespace/service:port`, where a port is a number, a name or ``everyPort``.
  ///   What is no such name, or names a port that is not there, is left out.
  init(_ names: Set<String>, _ book: ServiceBook) {
    for name in names {
      guard let cluster = ServiceClusterName(name) else { continue }
      let service = ServiceName(namespace: cluster.namespace, name: cluster.service)
      guard cluster.port == RoutedClusters.everyPort else {
        add(name, service, cluster.port, book)
        continue
      }
      add("\(service)", service, nil, book)
      for port in book.portNames(of: service) { add("\(service):\(port)", service, port, book) }
    }
  }

  private mutating func add(_ name: String, _ service: ServiceName, _ port: String?, _ book: ServiceBook) {
    guard let found = book.endpoints(of: service, port: port) else { return }
    endpoints[name] = found
    if let application = book.application(of: service, port: port), Self.http2Names.contains(application) {
      http2.insert(name)
    }
  }

  init() {}

  /// The Services whose changes matter to these names.
  static func services(_ names: Set<String>) -> Set<ServiceName> {
    Set(names.compactMap(ServiceClusterName.init).map { ServiceName(namespace: $0.namespace, name: $0.service) })
  }

  func json(generation: UInt64) -> JSONValue {
    [
      "generation": .integer(Int64(clamping: generation)), "http2": .array(http2.sorted().map { .string($0) }),
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
