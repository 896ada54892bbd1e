import Synchronization

/// What serves, one engine for each protocol.
struct ProxyEngines: Sendable {
  let server: ProxyServer
  let dns: DNSProxy
  let tls: TLSProxy
  private let isDeparting = Flag()

  private final class Flag: Sendable {
    let value = Atomic<Bool>(false)
  }

  init(server: ProxyServer, dns: DNSProxy, tls: TLSProxy) {
    self.server = server
    self.dns = dns
    self.tls = tls
  }

  /// Connections and queries are served when this returns.
  func start() throws(SocketError) {
    try tls.start()
    try dns.start()
    try server.start()
  }

  /// Returns when all have ended. One that ends by itself takes the others with it, unless they all end as they can.
  func serve() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.serve() }
      group.addTask { await dns.serve() }
      group.addTask { await tls.serve() }
      defer { group.cancelAll() }
      while try await group.next() != nil {
        if !isDeparting.value.load(ordering: .acquiring) { group.cancelAll() }
      }
    }
  }

  /// Another proxy serves from here on. Blocks the thread for a moment.
  func depart(_ departure: Departure) {
    isDeparting.value.store(true, ordering: .releasing)
    // It has given the others all that they will get when it comes back.
    server.depart(departure)
    dns.depart(departure)
    tls.depart(limit: departure.limit)
  }
}
