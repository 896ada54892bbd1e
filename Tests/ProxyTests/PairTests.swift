import ProxyRules
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Connections that the rules of both ends judge: set 2 is the client's own, set 3 the server's.
  @Suite(.serialized) struct PairTests {
    private static let client = ConnectionPolicy(
      proxyRules: 3, egressProxyRules: 2, sourceIdentity: 1001, destinationIdentity: 1002)

    private static func token(_ value: String, _ mismatch: HTTPHeaderMatch.Mismatch?) -> [HTTPHeaderMatch] {
      [HTTPHeaderMatch(name: "X-Token", value: value, mismatch: mismatch)]
    }

    private static let configuration = ProxyConfiguration(
      generation: 1,
      ruleSets: [
        RuleSet(
          id: 2,
          rules: .http([
            HTTPRule(id: 21, path: "/both|/client"),
            HTTPRule(id: 22, path: "/replaced", headerMatches: token("new", .replace)),
            HTTPRule(id: 23, path: "/deleted", headerMatches: token("never", .delete)),
            HTTPRule(id: 24, path: "/logged", headerMatches: token("never", .log)),
          ])),
        RuleSet(
          id: 3,
          rules: .http([
            HTTPRule(id: 31, path: "/both|/server|/logged"),
            HTTPRule(id: 32, path: "/replaced", headerMatches: token("new", nil)),
            HTTPRule(id: 33, path: "/deleted", headerMatches: token("old", nil)),
          ])),
        RuleSet(id: 4, rules: .tls([NameRule(id: 41, pattern: DNSNamePattern("*"))])),
      ],
      authors: [
        21: RuleAuthor(kind: "CiliumNetworkPolicy", name: "client", path: "spec.egress[0].toPorts[0].rules.http[0]"),
        31: RuleAuthor(kind: "CiliumNetworkPolicy", name: "server", path: "spec.ingress[0].toPorts[0].rules.http[0]"),
      ])

    private struct Case: CustomTestStringConvertible, Sendable {
      var path: String
      var change: @Sendable (inout ConnectionPolicy) -> Void = { _ in }
      var status: UInt16
      var set: UInt32
      var rule: UInt32 = 0
      var isAudited = false
      var note = ""

      var testDescription: String { "\(path) \(note)" }
    }

    private static let cases: [Case] = [
      Case(path: "/both", status: 200, set: 3, rule: 31), Case(path: "/client", status: 403, set: 3),
      Case(path: "/server", status: 403, set: 2), Case(path: "/neither", status: 403, set: 2),
      Case(path: "/replaced", status: 200, set: 2, rule: 22, note: "the server's rules judge what they would be sent"),
      Case(path: "/deleted", status: 403, set: 3, note: "what the client's rules took away is not there"),
      Case(path: "/logged", status: 200, set: 2, rule: 24, note: "a remark is cited before a plain yes"),
      Case(
        path: "/server", change: { $0.isEgressAudit = true }, status: 200, set: 2, isAudited: true,
        note: "the client is watched"),
      Case(path: "/neither", change: { $0.isEgressAudit = true }, status: 403, set: 3, note: "the client is watched"),
      Case(
        path: "/client", change: { $0.isAudit = true }, status: 200, set: 3, isAudited: true,
        note: "the server is watched"),
      Case(path: "/server", change: { $0.isAudit = true }, status: 403, set: 2, note: "the server is watched"),
      Case(
        path: "/both", change: { $0.egressProxyRules = 4 }, status: 403, set: 4,
        note: "the client's rules read another protocol"),
      Case(
        path: "/both", change: { $0.egressProxyRules = 9 }, status: 403, set: 9, note: "the client's set is unknown"),
    ]

    @Test(arguments: cases, ["127.0.0.1", "::1"])
    private func `both must let a request pass`(_ scenario: Case, _ host: String) async throws {
      let heads = Mutex<[String]>([])
      let server = try TestServer(host) { socket, _ in
        while let message = socket.readMessage() {
          heads.withLock { $0.append(message.head) }
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        }
      }
      var policy = Self.client
      scenario.change(&policy)
      let proxy = try TestProxy(server.address, host: host, policy: policy, configuration: Self.configuration)
      let client = proxy.connect()
      // Twice, as what was learned of the first request is used for the second.
      for number in 1...2 {
        client.write("GET \(scenario.path) HTTP/1.1\r\nHost: a\r\nX-Token: old\r\n\r\n")
        #expect(client.readMessage()?.head.hasPrefix("HTTP/1.1 \(scenario.status)") == true)
        let records = await proxy.records.wait(number)
        let record = try #require(records.last)
        #expect((record.proxyRules, record.rule) == (scenario.set, scenario.rule))
        #expect(record.isDenied == (scenario.status == 403) && record.isAudited == scenario.isAudited)
        #expect(record.isEgress == (scenario.set == 2) && record.path == scenario.path)
        #expect((record.mismatches != 0) == [22, 24].contains(scenario.rule))
      }
      let seen = heads.withLock { $0 }
      #expect(seen.count == (scenario.status == 200 ? 2 : 0), "the server hears of nothing that is refused")
      if scenario.path == "/replaced" { #expect(seen.allSatisfy { $0.contains("X-Token: new") }) }
      await proxy.stop()
    }

    private final class Sets: ConnectionResolver {
      let egress = Atomic<UInt32>(0)

      func resolve(client: SocketAddress, server: SocketAddress, transport: Transport) -> ConnectionPolicy? {
        var policy = PairTests.client
        policy.egressProxyRules = egress.load(ordering: .acquiring)
        return policy
      }
    }

    /// What the datapath has judged otherwise is not judged alike.
    @Test func `a connection to a server is not shared between pairs`() async throws {
      let server = try TestServer.echo()
      let sets = Sets()
      let proxy = try TestProxy(server.address, resolver: sets, configuration: Self.configuration) { $0.workers = 1 }
      for (set, connections) in [(0, 1), (2, 2), (0, 2), (2, 2)] as [(UInt32, UInt64)] {
        sets.egress.store(set, ordering: .releasing)
        #expect(proxy.connect().asking("GET /both HTTP/1.1\r\nHost: a\r\n\r\n") != nil)
        for _ in 0..<4000 where proxy.server.statistics.openConnections > 0 {
          try? await Task.sleep(for: .milliseconds(5))
        }
        #expect(proxy.server.statistics.upstreamConnections == connections)
      }
      await proxy.stop()
    }

    private static let names: [(name: String?, policy: ConnectionPolicy, set: UInt32, rule: UInt32, outcome: String)] =
      {
        func policy(_ isAudit: Bool = false, _ isEgressAudit: Bool = false) -> ConnectionPolicy {
          ConnectionPolicy(
            proxyRules: 6, egressProxyRules: 5, sourceIdentity: 1, destinationIdentity: 2, isAudit: isAudit,
            isEgressAudit: isEgressAudit)
        }
        return [
          ("a.org", policy(), 6, 62, "allowed"), ("a.com", policy(), 6, 0, "denied"),
          ("b.org", policy(), 5, 0, "denied"),
          (nil, policy(), 5, 0, "denied"), ("b.org", policy(false, true), 5, 0, "audited"),
          ("b.com", policy(false, true), 6, 0, "denied"), ("b.com", policy(true, true), 6, 0, "audited"),
          ("a.com", policy(true), 6, 0, "audited"),
          ("a.org", ConnectionPolicy(proxyRules: 0, sourceIdentity: 1, destinationIdentity: 2), 0, 0, "allowed"),
          ("a.org", .denied, .max, 0, "denied"),
        ]
      }()

    /// Names of DNS and of TLS; no test server is needed.
    @Test(arguments: names) func `both must let a name pass`(
      _ name: String?, _ policy: ConnectionPolicy, _ set: UInt32, _ rule: UInt32, _ outcome: String
    ) {
      func matcher(_ id: UInt32) -> NameRuleMatcher? {
        switch id {
        case 5: NameRuleMatcher(NameRuleSet(id: 5, rules: [NameRule(id: 51, pattern: DNSNamePattern("a.*"))]))
        case 6: NameRuleMatcher(NameRuleSet(id: 6, rules: [NameRule(id: 62, pattern: DNSNamePattern("*.org"))]))
        default: nil
        }
      }
      let judgement = NameJudgement(name, by: policy, matcher: matcher)
      #expect((judgement.set, judgement.rule) == (set, rule))
      #expect((judgement.isDenied ? "denied" : judgement.isAudited ? "audited" : "allowed") == outcome)
    }
  }
}
