import Addressing
import ProxyRules
import Synchronization
import Testing

@testable import Proxy

/// Tests with traffic: one at a time, as they block threads and measure time.
@Suite(.serialized) enum LoopbackTests {}

/// A proxy on loopback in front of one server, with a rule set `1` that allows GET and POST below /ok, any upgrade of
/// /ws and CONNECT.
final class TestProxy: Sendable {
  let address: SocketAddress
  let server: ProxyServer
  let records = Records()

  final class Records: Sendable {
    private let all = Mutex<[AccessRecord]>([])

    func add(_ records: [AccessRecord]) { all.withLock { $0 += records } }

    /// The records once there are `count` of them, or what there is after twenty seconds.
    func wait(_ count: Int) async -> [AccessRecord] {
      for _ in 0..<2000 {
        let now = all.withLock { $0 }
        if now.count >= count { return now }
        try? await Task.sleep(for: .milliseconds(10))
      }
      return all.withLock { $0 }
    }
  }

  static let configuration = ProxyConfiguration(
    generation: 1,
    ruleSets: [
      RuleSet(
        id: 1,
        rules: .http([
          HTTPRule(id: 11, method: "GET|POST|HEAD|PUT", path: "/ok.*"), HTTPRule(id: 12, path: "/ws"),
          HTTPRule(id: 13, method: "CONNECT"),
        ]))
    ])

  static let policy = ConnectionPolicy(proxyRules: 1, sourceIdentity: 1001, destinationIdentity: 1002)

  init(
    _ upstream: SocketAddress, host: String = "127.0.0.1", policy: ConnectionPolicy = TestProxy.policy,
    resolver: (any ConnectionResolver)? = nil, configuration: ProxyConfiguration = TestProxy.configuration,
    change: (inout ProxyOptions) -> Void = { _ in }
  ) throws {
    let listener = try Listener(SocketAddress(IPAddress(host)!, port: 0))
    address = listener.address
    var options = ProxyOptions()
    options.timeouts.granularity = .milliseconds(50)
    options.drain = .seconds(1)
    let records = records
    options.accessSink = .callback { all in
      records.add(all.compactMap { if case .http(let record) = $0 { record } else { nil } })
    }
    change(&options)
    let server = ProxyServer(
      listeners: [listener], resolver: resolver ?? FixedResolver(policy), dialer: FixedDialer(upstream),
      rules: RuleStore(try RuleSetTable(configuration)), options: options)
    self.server = server
    try server.start()
  }

  func connect() -> TestSocket { TestSocket(connectingTo: address) }

  func stop() async {
    server.shutDown()
    try? await server.waitUntilStopped()
  }

  deinit { server.shutDown() }
}
