import Addressing
import Flows
import Identity
import JSON
import KubernetesAPI
import Policy
import Testing

@testable import Agent

/// Flows, and what stands behind those that an audited policy would deny.
@Suite struct AuditWatchTests {
  private static let web = NumericIdentity(rawValue: 1000)
  private static let client = NumericIdentity(rawValue: 1001)

  private static func policy(_ name: String, _ app: String, _ rules: JSONValue, audited: Bool = true) throws
    -> PolicyDocument
  {
    var spec = rules
    spec["endpointSelector"] = ["matchLabels": ["app": .string(app)]]
    var metadata: JSONValue = ["name": .string(name), "namespace": "default"]
    if audited { metadata["annotations"] = [PolicyMode.annotation: "audit"] }
    return PolicyDocument(
      try CiliumNetworkPolicy([
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": metadata, "spec": spec,
      ]))
  }

  private static func watch(_ documents: [PolicyDocument]) -> AuditWatch {
    var (compiler, audited) = (PolicyCompiler(), AuditedPolicies())
    func details(_ app: String) -> IdentityDetails {
      IdentityDetails(labels: IdentityLabels(podLabels: ["app": app], namespace: "default"))
    }
    let delta = PolicyDelta(
      PolicySnapshot(
        identities: [web: details("web"), client: details("client")], subjects: [web, client], policies: documents))
    _ = compiler.update(audited.inForce(delta))
    _ = audited.update(delta, beside: compiler)
    let watch = AuditWatch()
    watch.publish(audited.book)
    return watch
  }

  private static func end(_ identity: NumericIdentity, _ address: String, id: UInt32) throws -> Flow.Endpoint {
    var end = Flow.Endpoint(address: try #require(IPAddress(address)))
    (end.identity, end.id) = (identity.rawValue, id)
    return end
  }

  /// From the client to the server.
  private static func flow(
    _ family: Int = 4, port: UInt16 = 80, _ change: (inout Flow) throws -> Void = { _ in }
  ) throws -> Flow {
    let addresses = family == 4 ? ["10.0.0.1", "10.0.0.2"] : ["fd00::1", "fd00::2"]
    var flow = Flow(
      time: 7, verdict: .forwarded, direction: .egress, source: try end(client, addresses[0], id: 5),
      destination: try end(web, addresses[1], id: 6), ipProtocol: 6)
    flow.destination.port = port
    try change(&flow)
    return flow
  }

  @Test func `flows pass as they are while nothing is audited`() throws {
    let flows = [try Self.flow()]
    #expect(AuditWatch().connections(flows) == flows && AuditWatch().requests(flows) == flows)
    let enforced = Self.watch([try Self.policy("e", "web", ["ingress": [[:]]], audited: false)])
    #expect(enforced.connections(flows) == flows)
  }

  private struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let isTold: Bool
    let change: @Sendable (inout Flow) throws -> Void

    init(_ name: String, isTold: Bool, _ change: @escaping @Sendable (inout Flow) throws -> Void) {
      testDescription = name
      self.isTold = isTold
      self.change = change
    }
  }

  private static let cases = [
    Case("a connection", isTold: true) { _ in },
    Case("one to the proxy", isTold: true) { $0.verdict = .redirected },
    Case("a drop: it stays one", isTold: false) { ($0.verdict, $0.dropReason) = (.dropped, 133) },
    Case("what audit mode tells", isTold: false) { ($0.verdict, $0.dropReason) = (.audit, 133) },
    Case("a reply", isTold: false) { $0.isReply = true },
    Case("a server elsewhere, though pods here have its identity", isTold: false) { $0.destination.id = 0 },
    Case("a pod that reaches itself", isTold: false) { $0.source = $0.destination },
    Case("a pod that reaches itself by a Service", isTold: false) {
      $0.source = try end(ReservedIdentity.worldIPv4.identity, "169.254.42.1", id: 0)
    },
    Case("in the family's own form", isTold: false) {
      $0.source = try end(ReservedIdentity.worldIPv6.identity, "64:ff9b:1::a9fe:2a01", id: 0)
    },
    Case("from the world", isTold: true) {
      $0.source = try end(ReservedIdentity.worldIPv6.identity, "2001:db8::1", id: 0)
    },
    Case("from the node", isTold: false) { $0.source = try end(ReservedIdentity.host.identity, "10.0.0.9", id: 0) },
    Case("to another", isTold: false) { ($0.source, $0.destination) = ($0.destination, $0.source) },
  ]

  @Test(arguments: cases, [4, 6]) private func `which flows are judged`(_ scenario: Case, _ family: Int) throws {
    let watch = Self.watch([try Self.policy("a", "web", ["ingress": [[:]]])])
    let flow = try Self.flow(family, scenario.change)
    let told = watch.connections([flow, flow])
    #expect(told.count == (scenario.isTold ? 4 : 2) && told.first == flow)
    guard scenario.isTold, let audit = told.dropFirst().first else { return }
    #expect(audit.verdict == .audit && audit.time == 7 && audit.direction == .ingress && audit.dropReason == 133)
    #expect(audit.deniedByDefaultOf.map(\.name) == ["a"] && audit.source == flow.source)
    #expect(audit.line.hasSuffix("AUDIT (POLICY_DENIED: no rule allows it; selected by CiliumNetworkPolicy default/a)"))
    #expect(watch.family.samples.map(\.value) == [2] && watch.family.samples.first?.labels["name"] == "a")
  }

  @Test func `both ends are told of, and rules are cited`() throws {
    let watch = Self.watch([
      try Self.policy(
        "a", "web", ["ingressDeny": [["toPorts": [["ports": [["port": "80"]]]]]], "log": ["value": "why"]]),
      try Self.policy("b", "client", ["egress": [["toEntities": ["world"]]]]),
    ])
    var allowed = try Self.flow()
    allowed.ingressAllowedBy = [.init(kind: "k", namespace: "n", name: "x", rule: "r")]
    allowed.egressAllowedBy = allowed.ingressAllowedBy
    let told = watch.connections([allowed])
    try #require(told.map(\.verdict) == [.forwarded, .audit, .audit])
    #expect(told[1].direction == .egress && told[1].deniedByDefaultOf.map(\.name) == ["b"])
    #expect(told[1].egressAllowedBy.isEmpty && told[1].line.contains("no rule allows it; selected by"))
    #expect(told[2].direction == .ingress && told[2].dropReason == 181 && told[2].ingressAllowedBy.isEmpty)
    #expect(told[2].ingressDeniedBy.map(\.rule) == ["spec.ingressDeny[0].toPorts[0].ports[0]"])
    #expect(told[2].line.contains("AUDIT (POLICY_DENY: CiliumNetworkPolicy default/a spec.ingressDeny[0]"))
    #expect(told[2].policyLog == ["why"])
  }

  private static let spoken: [(String, JSONValue, @Sendable (inout Flow) -> Void, Bool)] = [
    ("a path", ["http": [["path": "/a"]]], { $0.http = http("GET", "http://h/a") }, false),
    ("another path", ["http": [["path": "/a"]]], { $0.http = http("GET", "http://h/b") }, true),
    ("another host", ["http": [["host": "h"]]], { $0.http = http("GET", "http://i/b") }, true),
    // Of a request's headers nothing is known.
    ("a header", ["http": [["path": "/a", "headers": ["X-A: 1"]]]], { $0.http = http("GET", "http://h/a") }, false),
    ("another protocol", ["http": [["path": "/a"]]], { $0.serverName = "a" }, true),
    (
      "a name", ["dns": [["matchName": "a.b"]]],
      { $0.dns = Flow.DNS(query: "a.b.", type: "A", responseCode: 0, latency: 0) }, false
    ),
    (
      "another name", ["dns": [["matchPattern": "*.c"]]],
      { $0.dns = Flow.DNS(query: "a.b.", type: "A", responseCode: 0, latency: 0) }, true
    ),
    ("what failed by itself", ["http": [["path": "/a"]]], { ($0.http, $0.verdict) = (http("X", "/"), .error) }, false),
  ]

  private static func http(_ method: String, _ url: String) -> Flow.HTTP {
    Flow.HTTP(code: 200, method: method, url: url, version: "HTTP/1.1", latency: 1)
  }

  @Test func `what is said is judged where something is read`() throws {
    for (name, rules, change, isTold) in Self.spoken {
      let watch = Self.watch([
        try Self.policy(
          "a", "client", ["egress": [["toPorts": [["ports": [["port": "80", "protocol": "TCP"]], "rules": rules]]]]])
      ])
      let flow = try Self.flow {
        change(&$0)
        // As the proxy's records have it.
        ($0.source.id, $0.destination.id, $0.source.pod) = (0, 0, "client")
      }
      let told = watch.requests([flow])
      #expect(told.count == (isTold ? 2 : 1), "\(name)")
      #expect(told.last?.deniedByDefaultOf.map(\.name) == (isTold ? ["a"] : []), "\(name)")
      #expect(watch.connections([try Self.flow()]).count == 1, "the connection itself is allowed")
    }
  }

  @Test func `a new book is judged by, and counts of what is no longer audited go`() throws {
    let watch = Self.watch([try Self.policy("a", "web", ["ingress": [[:]]])])
    #expect(watch.connections([try Self.flow()]).count == 2)
    watch.publish(nil)
    #expect(watch.connections([try Self.flow()]).count == 1 && watch.family.samples.isEmpty)
  }
}
