import Addressing
import Identity
import JSON
import KubernetesAPI
import Policy
import Testing

/// Rules about all of a class of peers are stored once, and mean what they meant when each peer was named.
@Suite struct WidePeersTests {
  private static let subject = NumericIdentity(rawValue: 256)

  private static func labels(_ app: String, namespace: String = "default") -> IdentityLabels {
    IdentityLabels(podLabels: ["app": app], namespace: namespace)
  }

  /// The subject and a hundred others, one of which has named ports.
  private static func compiler(_ policies: JSONValue...) throws -> PolicyCompiler {
    var compiler = PolicyCompiler()
    var snapshot = PolicySnapshot()
    snapshot.identities[subject] = IdentityDetails(labels: labels("subject"))
    for index in 0..<100 {
      snapshot.identities[NumericIdentity(rawValue: UInt32(300 + index))] = IdentityDetails(
        labels: labels("app-\(index)", namespace: "n\(index % 7)"),
        namedPorts: index == 5 ? [NamedPort(name: "http", protocol: 6, port: 8080)] : [])
    }
    snapshot.subjects = [subject]
    snapshot.policies = try policies.map { try document($0) }
    _ = compiler.update(PolicyDelta(snapshot))
    return compiler
  }

  private static func rule(_ members: JSONValue) -> JSONValue {
    policy(namespace: nil, spec: ["endpointSelector": ["matchLabels": ["app": "subject"]], "ingress": [members]])
  }

  private func outcome(
    _ compiler: PolicyCompiler, _ peer: UInt32, _ direction: Direction = .ingress, port: UInt16 = 80
  ) -> Outcome {
    KernelLookup(compiled: compiler.compiled).decide(
      WidePeersTests.subject, NumericIdentity(rawValue: peer), direction, 6, port
    ).outcome
  }

  private func peers(_ compiler: PolicyCompiler, _ direction: Direction = .ingress) -> Set<NumericIdentity> {
    Set((compiler.maps[WidePeersTests.subject] ?? [:]).keys.filter { $0.direction == direction }.map(\.peer))
  }

  private static let host = ReservedIdentity.host.identity

  @Test(
    arguments: [
      (["fromEndpoints": [[:]]], [PeerClass.pods.peer]),
      (["fromEntities": ["remote-node"]], [PeerClass.nodes.peer]),
      (["fromEntities": ["world"]], [PeerClass.world.peer]),
      (["fromNodes": [[:]]], [PeerClass.nodes.peer]),
      (
        ["fromEntities": ["cluster"]],
        [PeerClass.pods.peer, PeerClass.nodes.peer]
          + [.`init`, .health, .unmanaged, .kubeAPIServer, .ingress].map { (entity: ReservedIdentity) in entity.identity
          }
      ),
    ] as [(JSONValue, [NumericIdentity])]) func entriesAreFew(_ rule: JSONValue, _ expected: [NumericIdentity]) throws
  {
    let compiler = try WidePeersTests.compiler(WidePeersTests.rule(rule))
    #expect(peers(compiler) == Set(expected + [WidePeersTests.host]))
  }

  @Test func whoIsMeant() throws {
    var compiler = try WidePeersTests.compiler(WidePeersTests.rule(["fromEndpoints": [[:]]]))
    #expect(outcome(compiler, 300) == .allow)
    #expect(outcome(compiler, ReservedIdentity.worldIPv4.rawValue) == .drop)
    #expect(outcome(compiler, ReservedIdentity.remoteNode.rawValue) == .drop)
    var delta = PolicyDelta()
    let new = NumericIdentity(rawValue: 5000)
    delta.changedIdentities[new] = IdentityDetails(labels: WidePeersTests.labels("new"))
    #expect(compiler.update(delta).maps.isEmpty)
    #expect(outcome(compiler, new.rawValue) == .allow)
  }

  /// A deny of one peer stands, and so does a rule set that it shares with all.
  @Test func theClassIsOneOfThree() throws {
    let compiler = try WidePeersTests.compiler(
      policy(
        namespace: nil,
        spec: [
          "endpointSelector": ["matchLabels": ["app": "subject"]],
          "ingress": [
            [
              "fromEndpoints": [[:]],
              "toPorts": [["ports": [["port": "80", "protocol": "TCP"]], "rules": ["http": [["method": "GET"]]]]],
            ],
            [
              "fromEndpoints": [["matchLabels": ["app": "app-1"]]],
              "toPorts": [["ports": [["port": "80", "protocol": "TCP"]], "rules": ["http": [["method": "PUT"]]]]],
            ],
            [
              "toPorts": [["ports": [["port": "80", "protocol": "TCP"]], "rules": ["http": [["method": "HEAD"]]]]]
            ],
            ["fromEndpoints": [["matchLabels": ["app": "app-2"]]]],
          ],
          "ingressDeny": [["fromEndpoints": [["matchLabels": ["app": "app-3"]]]]],
        ]))
    #expect(outcome(compiler, 300) == .http(["GET", "HEAD"]))
    #expect(outcome(compiler, 301) == .http(["GET", "PUT", "HEAD"]))
    #expect(outcome(compiler, 302) == .allow)
    #expect(outcome(compiler, 303) == .deny)
    #expect(outcome(compiler, ReservedIdentity.worldIPv4.rawValue) == .http(["HEAD"]))
  }

  @Test func namedPortsArePeersOwn() throws {
    let compiler = try WidePeersTests.compiler(
      policy(
        namespace: nil,
        spec: [
          "endpointSelector": ["matchLabels": ["app": "subject"]],
          "egress": [["toEndpoints": [[:]], "toPorts": [["ports": [["port": "http", "protocol": "TCP"]]]]]],
        ]))
    #expect(outcome(compiler, 305, .egress, port: 8080) == .allow)
    #expect(outcome(compiler, 306, .egress, port: 8080) == .drop)
    #expect(peers(compiler, .egress).count <= 2)
  }

  /// Where somebody else has a pod's number, each peer is named as before; when that has gone, none is.
  @Test func strangers() throws {
    var compiler = try WidePeersTests.compiler(WidePeersTests.rule(["fromEndpoints": [[:]]]))
    let stranger = NumericIdentity(rawValue: 6000)
    var delta = PolicyDelta()
    delta.changedIdentities[stranger] = IdentityDetails(labels: IdentityLabels([]))
    _ = compiler.update(delta)
    #expect(outcome(compiler, stranger.rawValue) == .drop)
    #expect(outcome(compiler, 300) == .allow)
    delta = PolicyDelta()
    delta.changedIdentities[NumericIdentity(rawValue: 6001)] = IdentityDetails(labels: WidePeersTests.labels("late"))
    _ = compiler.update(delta)
    #expect(outcome(compiler, 6001) == .allow)
    delta = PolicyDelta()
    delta.removedIdentities = [stranger]
    _ = compiler.update(delta)
    #expect(peers(compiler) == [PeerClass.pods.peer, WidePeersTests.host])
  }

  @Test func requirementsNarrow() throws {
    var compiler = try WidePeersTests.compiler(
      WidePeersTests.rule(
        ["fromEndpoints": [[:]], "fromRequires": [["matchLabels": ["k8s:io.kubernetes.pod.namespace": "n1"]]]]))
    #expect(outcome(compiler, 301) == .allow)
    #expect(outcome(compiler, 302) == .drop)
    var delta = PolicyDelta()
    for (number, namespace) in [(7001, "n1"), (7002, "n2")] as [(UInt32, String)] {
      delta.changedIdentities[NumericIdentity(rawValue: number)] = IdentityDetails(
        labels: WidePeersTests.labels("late", namespace: namespace))
    }
    _ = compiler.update(delta)
    #expect(outcome(compiler, 7001) == .allow)
    #expect(outcome(compiler, 7002) == .drop)
  }
}
