import Addressing
import Files
import JSON
import Logging
import Routing
import Synchronization
import Testing

@testable import Proxy

@Suite struct NameScheduleTests {
  private func schedule(_ fields: [String: JSONValue]) throws -> NameSchedule {
    guard
      case .cluster(let cluster)? = try NameDocuments.listener(fields).resources.clusters["c"].map(
        ClusterTarget.cluster)
    else { throw Failure() }
    return NameSchedule(cluster.resolution)
  }

  private struct Failure: Error {}

  @Test func `at the rate of the cluster, and Envoy's without one`() throws {
    var plain = try schedule([:])
    #expect(plain.next(isAnswered: true, random: 7) == .seconds(5))
    #expect(plain.next(isAnswered: false, random: 7) == .seconds(5))
    var quick = try schedule(["dns_refresh_rate": "0.5s", "dns_jitter": "0.1s"])
    #expect(quick.next(isAnswered: true, random: 199) == .milliseconds(599))
  }

  @Test func `failures have a rate of their own, which grows`() throws {
    var schedule = try schedule([
      "dns_refresh_rate": "10s", "dns_failure_refresh_rate": ["base_interval": "1s", "max_interval": "3s"],
    ])
    #expect(schedule.next(isAnswered: false, random: 999) == .milliseconds(999))
    #expect(schedule.next(isAnswered: false, random: 1999) == .milliseconds(1999))
    #expect(schedule.next(isAnswered: false, random: 2999) == .milliseconds(2999))
    #expect(schedule.next(isAnswered: false, random: 3000) == .milliseconds(1))
    #expect(schedule.next(isAnswered: true, random: 1) == .seconds(10))
    #expect(schedule.next(isAnswered: false, random: 1999) == .milliseconds(999))
  }
}

enum NameDocuments {
  static func cluster(
    _ fields: [String: JSONValue], type: String = "STRICT_DNS", names: [String] = ["one.example"]
  ) -> JSONValue {
    let endpoints = names.map { name -> JSONValue in
      ["endpoint": ["address": ["socket_address": ["address": .string(name), "port_value": 80]]]]
    }
    return RouteDocuments.cluster(
      "c",
      [
        "type": .string(type),
        "load_assignment": ["cluster_name": "c", "endpoints": [["lb_endpoints": .array(endpoints)]]],
      ]
      .merging(fields) { $1 })
  }

  static func file(
    _ fields: [String: JSONValue], type: String = "STRICT_DNS", names: [String] = ["one.example"]
  ) -> [UInt8] {
    RouteDocuments.file([
      RouteDocuments.listener([RouteDocuments.host([RouteDocuments.route(to: "c")])]),
      cluster(fields, type: type, names: names),
    ])
  }

  static func listener(_ fields: [String: JSONValue]) throws -> ListenerFile { try ListenerFile(file(fields)) }
}

@Suite struct NamedEndpointTests {
  private func addresses(_ texts: [String]) -> [IPAddress] { texts.compactMap { IPAddress($0) } }

  private func endpoints(_ type: String, _ names: [String], _ answers: [String: [String]]) throws -> [String] {
    var book = RouteBook()
    book.setListener(1, NameDocuments.file([:], type: type, names: names))
    try #require(book.rejection(of: 1) == nil)
    #expect(Set(book.queries.map(\.name)) == Set(names.filter { IPAddress($0) == nil }))
    for query in book.queries { if let answer = answers[query.name] { book.setName(query, addresses(answer)) } }
    let cluster = book.snapshot.listeners[1]?.cluster("c")
    return cluster?.endpoints.map { "\($0.hostname) \($0.address)" } ?? []
  }

  @Test func `each address of each name is an endpoint`() throws {
    let answers = ["a.example": ["10.0.0.2", "10.0.0.1", "fd00::1"], "b.example": ["10.0.0.3"]]
    #expect(
      try endpoints("STRICT_DNS", ["a.example", "b.example", "none.example", "10.0.0.9"], answers) == [
        "a.example 10.0.0.1:80", "a.example 10.0.0.2:80", "b.example 10.0.0.3:80", " 10.0.0.9:80",
        "a.example [fd00::1]:80",
      ])
  }

  @Test func `of a logical cluster, the first of each family`() throws {
    let answers = ["a.example": ["10.0.0.2", "10.0.0.1", "fd00::2", "fd00::1"]]
    #expect(
      try endpoints("LOGICAL_DNS", ["a.example"], answers) == ["a.example 10.0.0.2:80", "a.example [fd00::2]:80"])
  }

  @Test func `endpoints that stay are the same objects`() throws {
    var book = RouteBook()
    book.setListener(1, NameDocuments.file([:]))
    let query = try #require(book.queries.first)
    book.setName(query, addresses(["10.0.0.1", "10.0.0.2"]))
    let before = book.snapshot.listeners[1]?.cluster("c")?.endpoints ?? []
    book.setName(query, addresses(["10.0.0.2", "10.0.0.3"]))
    let after = book.snapshot.listeners[1]?.cluster("c")?.endpoints ?? []
    #expect(before[1] === after[0])
    // Also when the listener changes.
    book.setListener(1, NameDocuments.file(["connect_timeout": "1s"]))
    #expect(book.snapshot.listeners[1]?.cluster("c")?.endpoints.first === after[0])
    book.setListener(1, nil)
    #expect(book.queries.isEmpty)
  }
}

@Suite struct NameRefreshTests {
  private final class Answers: Sendable {
    let current = Mutex(NameAnswer.addresses([]))
    let count = Atomic<Int>(0)
  }

  /// The node's own resolver knows at least itself.
  @Test func `the system's resolver`() throws {
    func resolve(_ name: String, _ family: String) throws -> NameAnswer {
      let listener = try NameDocuments.listener(["dns_lookup_family": .string(family)])
      let resolution = try #require(listener.resources.clusters["c"]).resolution
      return NameQuery(name: name, resolution: resolution).resolve()
    }
    let loopback = IPAddress(v4: 0x7F00_0001)
    #expect(try resolve("localhost", "V4_ONLY") == .addresses([loopback]))
    #expect(try resolve("127.0.0.1", "ALL") == .addresses([loopback]))
    guard case .addresses(let addresses) = try resolve("localhost", "AUTO") else { throw Failure() }
    #expect(addresses.contains(loopback))
  }

  private struct Failure: Error {}

  @Test func `what changes is told, a failure changes nothing`() async throws {
    let answers = Answers()
    let lines = LogLines()
    let refresh = NameRefresh(logger: Logger(label: "names") { _ in lines }) { _ in
      answers.count.add(1, ordering: .relaxed)
      return answers.current.withLock { $0 }
    }
    let listener = try NameDocuments.listener(["dns_refresh_rate": "0.01s"])
    let query = NameQuery(name: "a", resolution: try #require(listener.resources.clusters["c"]).resolution)
    let one = try #require(IPAddress("10.0.0.1"))
    let two = try #require(IPAddress("fd00::2"))
    answers.current.withLock { $0 = .addresses([one]) }
    refresh.want([query])
    var updates = refresh.updates.makeAsyncIterator()
    #expect(await updates.next()?.addresses == [one])
    answers.current.withLock { $0 = .failure("nobody answers") }
    while !lines.all.contains(where: { $0.contains("nobody answers") }) { try await Task.sleep(for: .milliseconds(5)) }
    #expect(lines.all == ["warning a can not be resolved, its last addresses stay in use: nobody answers"])
    answers.current.withLock { $0 = .addresses([one, two]) }
    #expect(await updates.next()?.addresses == [one, two])
    // The order is not news, and neither is what is the same.
    answers.current.withLock { $0 = .addresses([two, one]) }
    let count = answers.count.load(ordering: .relaxed)
    while answers.count.load(ordering: .relaxed) < count + 3 { try await Task.sleep(for: .milliseconds(5)) }
    answers.current.withLock { $0 = .addresses([]) }
    #expect(await updates.next()?.addresses == [])
    refresh.want([])
    try await Task.sleep(for: .milliseconds(50))
    let last = answers.count.load(ordering: .relaxed)
    try await Task.sleep(for: .milliseconds(100))
    #expect(answers.count.load(ordering: .relaxed) <= last + 1)
  }
}
