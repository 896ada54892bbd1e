import NodeAPI
import ProxyRules
import Testing

@testable import Agent

@Suite struct SpokenVerdictTests {
  private static let http = RuleSet(
    id: 1, rules: .http([HTTPRule(id: 7, method: "GET"), HTTPRule(id: 8, path: "/b")]))
  private static let dns = RuleSet(
    id: 2,
    rules: .dns([
      NameRule(id: 7, pattern: DNSNamePattern("www.example.com")), NameRule(id: 8, pattern: DNSNamePattern("*.a.b")),
    ]))

  private static let tls = RuleSet(
    id: 3,
    rules: .tls([
      NameRule(id: 7, pattern: DNSNamePattern("www.example.com")), NameRule(id: 8, pattern: DNSNamePattern("**.org")),
    ]))

  private static func hello(_ name: String) -> TraceRequest {
    TraceRequest(from: "n/a", to: "n/b", port: 443, serverName: name)
  }

  private static func request(_ method: String, _ path: String) -> TraceRequest {
    TraceRequest(from: "n/a", to: "n/b", port: 80, method: method, path: path)
  }

  private static func query(_ name: String) -> TraceRequest {
    TraceRequest(from: "n/a", to: "n/b", port: 53, protocol: "UDP", query: name)
  }

  private static let scenarios: [(TraceRequest, RuleSet, String, TraceResult.Verdict, UInt32?)] = [
    (request("GET", "/"), http, "http", .allowed, 7), (request("PUT", "/b"), http, "http", .allowed, 8),
    (request("PUT", "/"), http, "http", .denied, nil), (query("www.example.com"), dns, "dns", .allowed, 7),
    (query("X.A.B."), dns, "dns", .allowed, 8), (query("a.b"), dns, "dns", .denied, nil),
    (hello("WWW.example.com"), tls, "tls", .allowed, 7), (hello("a.b.org."), tls, "tls", .allowed, 8),
    (hello("org"), tls, "tls", .denied, nil),
    // Said in another protocol than the rules read: the proxy can not let it pass.
    (request("GET", "/"), dns, "http", .denied, nil), (query("a.b"), http, "dns", .denied, nil),
    (query("www.example.com"), tls, "dns", .denied, nil), (hello("www.example.com"), dns, "tls", .denied, nil),
  ]

  @Test(arguments: scenarios) func `what is said is judged by rules of its protocol`(
    _ request: TraceRequest, _ set: RuleSet, _ stage: String, _ verdict: TraceResult.Verdict, _ rule: UInt32?
  ) throws {
    let judged = try SpokenVerdict(try #require(request.spoken), by: set)
    #expect((judged.stage, judged.verdict, judged.rule) == (stage, verdict, rule))
  }

  @Test func `a connection alone says nothing`() {
    if TraceRequest(from: "n/a", to: "n/b", port: 80).spoken != nil { Issue.record("there is nothing to judge") }
  }

  @Test func `each rule says what keeps it from allowing`() throws {
    let spoken = try #require(Self.query("x.a.b").spoken)
    let told = try Self.dns.differences(from: spoken)
    #expect(told.map(\.rule) == [7, 8])
    #expect(told.map(\.differences) == [["the name is x.a.b, not www.example.com"], []])
  }
}
