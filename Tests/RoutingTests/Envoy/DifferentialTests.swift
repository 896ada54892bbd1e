import Foundation
import JSON
import ProxyRules
import Routing
import Synchronization
import TestSupport
import Testing
import Threads

/// The same routes and requests for Envoy and for us: status, cluster, path, host and headers must be the same.
///
/// `MARTLET_ENVOY` names Envoy's program, `MARTLET_ROUTE_CONFIGURATIONS` how many configurations are compared, and
/// `MARTLET_ROUTE_SEED` where they begin.
@Suite(.enabled(if: EnvoyProcess.program != nil, "MARTLET_ENVOY names no Envoy"), .serialized)
struct DifferentialTests {
  static func number(_ name: String, _ otherwise: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? otherwise
  }

  static let requests = 500
  /// How many configurations one Envoy has.
  static let batch = 100

  @Test func `routes are followed as by Envoy`() throws {
    let count = DifferentialTests.number("MARTLET_ROUTE_CONFIGURATIONS", 200)
    let first = DifferentialTests.number("MARTLET_ROUTE_SEED", 1)
    var compared = 0
    var kinds: [String: Int] = [:]
    for start in stride(from: first, to: first + count, by: DifferentialTests.batch) {
      let seeds = Array(start..<min(start + DifferentialTests.batch, first + count))
      let lab = try RoutingLab(seeds)
      let results = try lab.compare(DifferentialTests.requests)
      compared += results.compared
      kinds.merge(results.kinds, uniquingKeysWith: +)
      for disagreement in results.disagreements.prefix(5) { Issue.record("\(disagreement)") }
      guard results.disagreements.isEmpty else {
        Issue.record("\(results.disagreements.count) disagreements among seeds \(seeds[0])...\(seeds[seeds.count - 1])")
        return
      }
    }
    print(
      "routes are followed as by Envoy: \(count) configurations from seed \(first), \(compared) requests alike:", kinds)
    #expect(compared >= count * DifferentialTests.requests)
  }
}

/// One Envoy, servers behind it, and our tables for the same configurations.
private struct RoutingLab: Sendable {
  struct Results: Sendable {
    var compared = 0
    var kinds: [String: Int] = [:]
    var disagreements: [String] = []
  }

  private static let filterAnswers: Set<String> = [
    "RBAC: access denied", "fault filter abort", "broken", "local_rate_limited",
  ]

  private let seeds: [Int]
  private let documents: [JSONValue]
  private let filters: [[JSONValue]]
  private let tables: [RouteTable]
  private let chains: [FilterChain?]
  private let folder: TemporaryDirectory

  init(_ seeds: [Int]) throws {
    self.seeds = seeds
    var documents: [JSONValue] = []
    var filters: [[JSONValue]] = []
    var tables: [RouteTable] = []
    var chains: [FilterChain?] = []
    for seed in seeds {
      var generator = ConfigurationGenerator(seed: seed)
      let document = generator.configuration()
      documents.append(document)
      filters.append(generator.filterDocuments)
      do {
        // By way of the listener, of which the address alone is Envoy's affair.
        var listener = EnvoyProcess.listener(0, document, generator.filterDocuments, suppresses: false, "")
        listener["address"] = nil
        listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener"
        let resources = try EnvoyResources(JSONCursor([listener]))
        guard let manager = resources.listeners.first?.http, let routes = resources.routes(of: resources.listeners[0])
        else { preconditionFailure() }
        tables.append(try RouteTable(routes))
        chains.append(try FilterChain.make(manager, routes))
      } catch {
        throw EnvoyProcess.Failure(description: "seed \(seed) is refused: \(error)")
      }
    }
    self.documents = documents
    self.filters = filters
    self.tables = tables
    self.chains = chains
    folder = try TemporaryDirectory("routing")
  }

  /// Every other router tells servers what it has rewritten.
  private func suppresses(_ index: Int) -> Bool { seeds[index] % 2 == 0 }

  func compare(_ requests: Int) throws -> Results {
    let path = folder.path
    let servers = try EchoServers(EnvoyProcess.clusters.indices.map { EnvoyProcess.upstream($0, path) })
    let envoy = try EnvoyProcess(
      EnvoyProcess.program ?? "", documents, filters: filters, suppressing: seeds.indices.map(suppresses),
      folder: folder)
    defer {
      envoy.end()
      withExtendedLifetime(servers) {}
    }
    let all = Mutex(Results())
    let next = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < seeds.count else { return }
        let results = compare(index, requests)
        all.withLock {
          $0.compared += results.compared
          $0.kinds.merge(results.kinds, uniquingKeysWith: +)
          $0.disagreements += results.disagreements
        }
      }
    }
    return all.withLock { $0 }
  }

  private func compare(_ index: Int, _ requests: Int) -> Results {
    var results = Results()
    var generator = RequestGenerator(random: SeededGenerator(seed: seeds[index] &* 0x1F12_3BB5_159A_55E5))
    do {
      let path = EnvoyProcess.socket(index, folder.path)
      var connection = try UnixConnection(to: path)
      // One after the other: behind an answer of its own, Envoy may close a connection with more requests on it.
      for _ in 0..<requests {
        let request = generator.request()
        try connection.write(request.bytes)
        let head = Head(try connection.head())
        let body = try connection.bytes(head.headers["content-length"].flatMap { Int($0) } ?? 0)
        if head.headers["connection"] == "close" { connection = try UnixConnection(to: path) }
        let seen = Outcome(head, body)
        let expected = Outcome(tables[index], chains[index], request, suppresses: suppresses(index))
        results.compared += 1
        results.kinds[seen.cluster == nil ? "\(seen.status)" : "forwarded", default: 0] += 1
        if let body = seen.body, Self.filterAnswers.contains(body) { results.kinds[body, default: 0] += 1 }
        // Answers of the proxy's own become gRPC's, whatever the route says.
        if request.isGRPC, seen.cluster == nil, expected.cluster == nil { continue }
        if seen != expected { results.disagreements.append(describe(index, request, seen, expected)) }
      }
    } catch {
      results.disagreements.append("seed \(seeds[index]): connection lost behind \(results.compared) requests")
    }
    return results
  }

  /// The route that we take, or all of the document.
  private func relevant(_ index: Int, _ request: HTTPRequestDescription) -> String {
    request.withFacts { facts in
      guard case .route(let choice) = tables[index].choose(RequestView(facts, connection: ConnectionFacts()), random: 0)
      else { return documents[index].text() }
      return "\(choice.virtualHost.name), route \(choice.routeIndex) of \(documents[index].text())"
    }
  }

  private func describe(_ index: Int, _ request: HTTPRequestDescription, _ seen: Outcome, _ expected: Outcome) -> String
  {
    """
    seed \(seeds[index]), suppressing \(suppresses(index)):
    \(String(decoding: request.bytes, as: UTF8.self))
      Envoy: \(seen)
      we:    \(expected)
    \(relevant(index, request))
    filters \(JSONValue.array(filters[index]).text())
    """
  }
}
