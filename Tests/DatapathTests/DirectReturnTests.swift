import Addressing
import Glibc
import KubernetesAPI
import Logging
import Services
import Testing

@testable import Datapath

/// Which Services this node's backends answer for directly, in a map made for the test.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct DirectReturnTests {
  private let table: DirectReturnTable
  private let returns: DirectReturns
  private let frontend = FrontendKey(address: IPAddress(v4: 0xC633_6407), port: 80, protocol: .tcp)
  private let wildcard = FrontendKey(address: IPAddress(high: 0, low: 0), port: 30080, protocol: .tcp)

  init() throws {
    table = DirectReturnTable(map: try .create(.hash, name: "ret_test", maxEntries: 3, flags: .noPreallocation))
    returns = DirectReturns(table, logger: Logger(label: "test"))
  }

  private func backend(_ number: UInt32) -> BackendAddress {
    BackendAddress(address: IPAddress(v4: 0x0A00_0000 + number), port: 8080)
  }

  private func service(_ name: String, _ keys: [FrontendKey], _ endpoints: [ServiceEndpoint]) -> [ServiceName:
    CompiledService?]
  {
    let name = ServiceName(namespace: "default", name: name)
    let port = PortID(service: name, port: 80, protocol: .tcp)
    let frontends = keys.map { key in
      let id = BalancerID(port: port, family: IPFamily(of: key.address), audience: .everyone)
      return Frontend(key: key, kinds: .nodePort, cluster: id, external: id)
    }
    return [name: CompiledService(name: name, frontends: frontends, balancers: [:], endpoints: [port: endpoints])]
  }

  private func local(_ numbers: UInt32...) -> [ServiceEndpoint] {
    numbers.map { ServiceEndpoint(backend: backend($0), isLocal: true) }
  }

  private func expect(_ pairs: [(FrontendKey, UInt32)]) throws {
    #expect(try table.entries() == Set(pairs.map { DirectReturn(frontend: $0, backend: backend($1)) }))
  }

  @Test func `this node's endpoints, each at the frontends of its family`() throws {
    let six = BackendAddress(address: IPAddress(high: 0xfd00_0000_0000_0000, low: 1), port: 8080)
    let endpoints =
      local(1) + [
        ServiceEndpoint(backend: backend(2)), ServiceEndpoint(backend: backend(3), state: .notReady, isLocal: true),
        ServiceEndpoint(backend: six, isLocal: true),
      ]
    returns.apply(service("web", [frontend, wildcard], endpoints))
    #expect(
      try table.entries() == [
        DirectReturn(frontend: frontend, backend: backend(1)), DirectReturn(frontend: frontend, backend: backend(3)),
        DirectReturn(frontend: wildcard, backend: six),
      ])
    #expect(returns.problem == nil && returns.usage.entries == 3 && returns.usage.capacity == 3)
  }

  @Test func `changes are written, and what an earlier agent left goes`() throws {
    try table.add([DirectReturn(frontend: frontend, backend: backend(9))])
    returns.start(with: service("web", [frontend], local(1, 2)).compactMapValues { $0 })
    try expect([(frontend, 1), (frontend, 2)])
    returns.apply(service("web", [frontend], local(2, 3)))
    try expect([(frontend, 2), (frontend, 3)])
    // The frontend goes from one Service to another.
    returns.apply(service("web", [], local(2)).merging(service("api", [frontend], local(2))) { $1 })
    try expect([(frontend, 2)])
    returns.apply([ServiceName(namespace: "default", name: "api"): nil])
    try expect([])
  }

  @Test func `what finds no place is told, and tried again`() throws {
    returns.apply(service("web", [frontend], local(1, 2)))
    returns.apply(service("api", [wildcard], []).merging(service("more", [frontend], local(3, 4))) { $1 })
    #expect(returns.problem?.contains("directly") == true)
    returns.retry()
    #expect(returns.problem != nil)
    returns.apply([ServiceName(namespace: "default", name: "web"): nil])
    #expect(returns.problem == nil)
    try expect([(frontend, 3), (frontend, 4)])
  }
}
