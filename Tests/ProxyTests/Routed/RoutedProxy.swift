import Addressing
import Glibc
import JSON
import ProxyRules
import Synchronization
import Testing

@testable import Proxy

/// A proxy on loopback all of whose connections are led to listener 7, with routes in one virtual host for everything.
final class RoutedProxy: Sendable {
  let address: SocketAddress
  let server: ProxyServer
  let records = TestProxy.Records()
  private let book: Mutex<RouteBook>
  private let manager: [String: JSONValue]
  private let resources: [JSONValue]

  struct Judge: BackendJudge {
    let parties: @Sendable (SocketAddress, SocketAddress) -> BackendParties?
    let verdict: @Sendable (SocketAddress, SocketAddress) -> BackendVerdict
    let addresses: @Sendable () -> AddressRevision?

    var addressRevision: AddressRevision? { addresses() }
    func parties(client: SocketAddress, server: SocketAddress) -> BackendParties? { parties(client, server) }
    func judge(client: SocketAddress, server: SocketAddress) -> BackendVerdict { verdict(client, server) }
  }

  struct Resolver: ConnectionResolver {
    let listener: UInt32

    func resolve(client: SocketAddress, server: SocketAddress, transport: Transport) -> ConnectionPolicy? {
      .routed(sourceIdentity: 1001, service: 5, revision: 0, listener: listener)
    }
  }

  /// Connects to the backend that was chosen.
  struct Dialer: UpstreamDialer {
    func dial(client: SocketAddress, server: SocketAddress, transport: Transport) -> Int32 {
      FixedDialer(server).dial(client: client, server: server, transport: transport)
    }
  }

  static let policy = ConnectionPolicy(proxyRules: 0, sourceIdentity: 1001, destinationIdentity: 1002)
  static let parties = BackendParties(
    client: BackendParties.Party(identity: 1001), server: BackendParties.Party(identity: 1002))

  init(
    _ routes: JSONValue, _ clusters: [String: [SocketAddress]], host: String = "127.0.0.1",
    manager: [String: JSONValue] = [:], resources: [JSONValue] = [], listener: UInt32 = 7,
    outlets: Outlets = Outlets(),
    configuration: ProxyConfiguration = TestProxy.configuration,
    judge: @escaping @Sendable (SocketAddress, SocketAddress) -> BackendVerdict = { _, _ in
      .allowed(RoutedProxy.policy)
    },
    parties: @escaping @Sendable (SocketAddress, SocketAddress) -> BackendParties? = { _, _ in RoutedProxy.parties },
    addresses: @escaping @Sendable () -> AddressRevision? = { nil },
    change: (inout ProxyOptions) -> Void = { _ in }
  ) throws {
    let taken = try Listener(SocketAddress(IPAddress(host)!, port: 0))
    address = taken.address
    self.manager = manager
    self.resources = resources
    var options = ProxyOptions()
    options.workers = 1
    options.timeouts.granularity = .milliseconds(50)
    options.drain = .seconds(1)
    let store = RouteStore(outlets: outlets)
    book = Mutex(RouteBook(registry: store.registry))
    let records = records
    options.accessSink = .callback { all in
      records.add(all.compactMap { if case .http(let record) = $0 { record } else { nil } })
    }
    change(&options)
    server = ProxyServer(
      listeners: [taken], resolver: Resolver(listener: listener), dialer: Dialer(),
      rules: RuleStore(try RuleSetTable(configuration)), routes: store,
      judge: Judge(parties: parties, verdict: judge, addresses: addresses),
      options: options)
    try setEndpoints(clusters)
    try setRoutes(routes)
    try server.start()
  }

  /// Puts routes into force: an array of them, or a whole route configuration.
  func setRoutes(_ routes: JSONValue, resources: [JSONValue]? = nil) throws {
    var configuration = routes
    if case .array = routes {
      configuration = ["name": "routes", "virtual_hosts": [["name": "all", "domains": ["*"], "routes": routes]]]
    }
    var manager = manager
    manager["@type"] =
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    manager["stat_prefix"] = "x"
    manager["route_config"] = configuration
    let listener: JSONValue = [
      "@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "l",
      "filter_chains": [
        ["filters": [["name": "envoy.filters.network.http_connection_manager", "typed_config": .object(manager)]]]
      ],
    ]
    let file: JSONValue = [
      "number": 7, "generation": .string(configuration.text()),
      "object": ["kind": "CiliumEnvoyConfig", "namespace": "default", "name": "x"], "listener": "l",
      "services": ["default/one", "default/two", "default/none"],
      "resources": .array([listener] + (resources ?? self.resources)),
    ]
    try book.withLock { book in
      book.setListener(7, file.serialized())
      if let rejected = book.answer.rejected[7] { throw TestFailure(description: rejected.reason) }
      server.routes.replace(with: book.snapshot)
    }
  }

  func setEndpoints(_ clusters: [String: [SocketAddress]], http2: [String] = []) throws {
    let endpoints = clusters.mapValues { addresses in
      JSONValue.array(
        addresses.map { ["address": .string($0.address.description), "port": .integer(Int64($0.port))] })
    }
    let generation = Int64.random(in: 1...Int64.max / 2)
    let file: JSONValue = [
      "generation": .integer(generation), "clusters": .object(endpoints), "http2": .array(http2.map { .string($0) }),
    ]
    try book.withLock { book in
      try book.setEndpoints(file.serialized())
      server.routes.replace(with: book.snapshot)
    }
  }

  struct TestFailure: Error, CustomStringConvertible {
    let description: String
  }

  func connect() -> TestSocket { TestSocket(connectingTo: address) }

  /// One request over a connection of its own.
  func ask(_ request: String) -> (head: String, body: String)? { connect().asking(request) }

  func stop() async {
    server.shutDown()
    try? await server.waitUntilStopped()
  }

  deinit { server.shutDown() }
}

/// Routes of examples.
enum Routes {
  static func to(_ cluster: String, _ action: [String: JSONValue] = [:]) -> JSONValue {
    var action = action
    action["cluster"] = .string(cluster)
    return ["match": ["prefix": "/"], "route": .object(action)]
  }
}

extension Routes {
  /// A Cluster with endpoints that are written down.
  static func cluster(
    _ name: String, _ endpoints: [JSONValue], _ more: [String: JSONValue] = [:]
  ) -> JSONValue {
    let locality: JSONValue = ["lb_endpoints": .array(endpoints)]
    let assignment: JSONValue = ["cluster_name": .string(name), "endpoints": [locality]]
    var cluster: [String: JSONValue] = more
    cluster["@type"] = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    cluster["name"] = .string(name)
    cluster["type"] = "STATIC"
    cluster["load_assignment"] = assignment
    return .object(cluster)
  }

  static func endpoint(
    _ address: SocketAddress, hostname: String? = nil, status: String? = nil, check: JSONValue? = nil
  ) -> JSONValue {
    let socket: JSONValue = [
      "address": .string(address.address.description), "port_value": .integer(Int64(address.port)),
    ]
    var endpoint: [String: JSONValue] = ["address": ["socket_address": socket]]
    if let hostname { endpoint["hostname"] = .string(hostname) }
    if let check { endpoint["health_check_config"] = check }
    var whole: JSONValue = ["endpoint": .object(endpoint)]
    if let status { whole["health_status"] = .string(status) }
    return whole
  }
}

extension TestServer {
  /// Answers every request with the server's name, then the request as it came.
  static func mirror(_ name: String, _ host: String = "127.0.0.1", fields: String = "") throws -> TestServer {
    try TestServer(host) { socket, number in
      while let message = socket.readMessage() {
        let body = "\(name)#\(number)\n\(message.head)\(message.body)"
        socket.write(
          "HTTP/1.1 200 OK\r\nX-Server: \(name)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n"
            + (message.head.hasPrefix("HEAD") ? "" : body))
      }
    }
  }

  /// Answers each request by its number, over all connections; nil closes the connection.
  static func script(
    _ host: String = "127.0.0.1", _ answer: @escaping @Sendable (Int, String, String) -> String?
  ) throws -> (server: TestServer, count: @Sendable () -> Int) {
    let shared = Shared()
    let server = try TestServer(host) { socket, _ in
      while let message = socket.readMessage() {
        let number = shared.next()
        guard let text = answer(number, message.head, message.body) else { return }
        socket.write(text)
      }
    }
    return (server, { shared.current })
  }

  private final class Shared: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
      count.withLock { count in
        count += 1
        return count - 1
      }
    }

    var current: Int { count.withLock { $0 } }
  }
}

/// A response with a body.
func response(_ status: String, _ body: String = "", _ fields: String = "") -> String {
  "HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

/// An address where nobody listens, for as long as it is kept.
final class DeadEnd {
  let address: SocketAddress
  private let fd: Int32

  init(_ host: String = "127.0.0.1") throws {
    let wanted = SocketAddress(try #require(IPAddress(host)), port: 0)
    fd = Proxy.Socket.tcp(family: wanted.address.isIPv4 ? AF_INET : AF_INET6)
    #expect(Proxy.Socket.bind(fd, wanted) == 0)
    address = try #require(Proxy.Socket.localAddress(fd))
  }

  deinit { close(fd) }
}
