import Addressing
import Identity
import JSON
import KubernetesAPI
import Policy
import Testing

/// Times of compiling, printed always and asserted in optimized builds only, with room for a busy machine.
@Suite(.serialized) struct PerformanceTests {
  #if DEBUG
    static let scale = 10
  #else
    static let scale = 1
  #endif

  /// 5000 identities in 50 namespaces, each with an application and a version.
  private static func identities() -> [NumericIdentity: IdentityDetails] {
    Dictionary(
      uniqueKeysWithValues: (0..<5000 / scale).map { index in
        (
          NumericIdentity(rawValue: UInt32(256 + index)),
          IdentityDetails(
            labels: IdentityLabels(
              podLabels: ["app": "app-\(index / 50 % 100)", "version": "v\(index % 3)", "pod": "\(index)"],
              namespace: "namespace-\(index % 50)",
              namespaceLabels: ["kubernetes.io/metadata.name": "namespace-\(index % 50)"]),
            namedPorts: [NamedPort(name: "http", protocol: 6, port: 8080)])
        )
      })
  }

  private static func rule(_ index: Int, method: String = "GET") -> JSONValue {
    policy(
      "policy-\(index)", namespace: "namespace-\(index % 50)",
      spec: [
        "endpointSelector": ["matchLabels": ["app": .string("app-\(index / 50 % 100)")]],
        "ingress": [
          [
            "fromEndpoints": [
              ["matchLabels": ["app": .string("app-\((index / 50 + 1) % 100)")]], ["matchLabels": ["version": "v1"]],
            ],
            "toPorts": [
              [
                "ports": [["port": "http", "protocol": "TCP"]],
                "rules": ["http": [["method": .string(method), "path": "/api/.*"]]],
              ]
            ],
          ],
          [
            "fromEndpoints": [["matchLabels": ["version": "v2"]]],
            "toPorts": [["ports": [["port": "9000", "endPort": 9100, "protocol": "TCP"]]]],
          ],
        ],
        "egress": [
          [
            "toEndpoints": [
              ["matchLabels": ["k8s:io.kubernetes.pod.namespace": .string("namespace-\((index + 1) % 50)")]]
            ]
          ],
          ["toCIDRSet": [["cidr": "10.0.0.0/8", "except": [.string("10.\(index % 200).0.0/16")]]]],
        ],
      ])
  }

  private static func measure(_ what: String, limit: Duration, _ body: () -> Void) {
    let time = ContinuousClock().measure(body)
    print("\(what): \(time)")
    #if !DEBUG
      #expect(time <= limit)
    #endif
  }

  @Test(arguments: [100, 500, 5000]) func thousandPoliciesAndFiveThousandIdentities(_ subjects: Int) throws {
    let identities = PerformanceTests.identities()
    let documents = try (0..<1000 / PerformanceTests.scale).map { try document(PerformanceTests.rule($0)) }
    let snapshot = PolicySnapshot(
      identities: identities, subjects: Set(identities.keys.sorted().prefix(subjects / PerformanceTests.scale)),
      policies: documents)
    var compiler = PolicyCompiler()
    PerformanceTests.measure("from nothing, \(subjects) subjects", limit: .seconds(3)) {
      _ = compiler.update(PolicyDelta(snapshot))
    }
    print("entries: \(compiler.maps.values.reduce(0) { $0 + $1.count }), rule sets: \(compiler.ruleSets.count)")

    var delta = PolicyDelta()
    delta.changedPolicies = [try document(PerformanceTests.rule(0, method: "PUT"))]
    PerformanceTests.measure("one changed policy", limit: .milliseconds(50)) {
      #expect(!compiler.update(delta).ruleSets.isEmpty)
    }
    delta = PolicyDelta()
    delta.changedIdentities[NumericIdentity(rawValue: 60_000)] = IdentityDetails(
      labels: IdentityLabels(podLabels: ["app": "app-1", "version": "v1"], namespace: "namespace-1"))
    PerformanceTests.measure("one new identity", limit: .milliseconds(50)) {
      #expect(!compiler.update(delta).maps.isEmpty)
    }
    delta = PolicyDelta()
    delta.changedPolicies = [
      try document(
        policy(
          "cidr", namespace: "namespace-1", spec: ["endpointSelector": [:], "egress": [["toCIDR": ["10.0.0.0/7"]]]]))
    ]
    PerformanceTests.measure("one new block around 200 others", limit: .milliseconds(100)) {
      _ = compiler.update(delta)
    }
  }

  @Test func onePolicyForTenThousandPeers() throws {
    let identities = Dictionary(
      uniqueKeysWithValues: (0..<10_000 / PerformanceTests.scale).map { index in
        (
          NumericIdentity(rawValue: UInt32(256 + index)),
          IdentityDetails(
            labels: IdentityLabels(podLabels: ["app": "app-\(index % 10)", "pod": "\(index)"], namespace: "default"))
        )
      })
    let all = try document(
      policy(
        namespace: nil,
        spec: ["endpointSelector": ["matchLabels": ["app": "app-1"]], "ingress": [["fromEndpoints": [[:]]]]]))
    let snapshot = PolicySnapshot(
      identities: identities, subjects: Set(identities.keys.sorted().prefix(200)), policies: [all])
    var compiler = PolicyCompiler()
    PerformanceTests.measure("ten thousand peers, 20 subjects", limit: .seconds(3)) {
      _ = compiler.update(PolicyDelta(snapshot))
    }
    var delta = PolicyDelta()
    delta.changedIdentities[NumericIdentity(rawValue: 60_000)] = IdentityDetails(
      labels: IdentityLabels(podLabels: [:], namespace: "x"))
    PerformanceTests.measure("one more peer of 20 maps", limit: .milliseconds(100)) { _ = compiler.update(delta) }
  }

  /// Ten thousand identities, each of which a hundred namespaces' worth of policies may name, and 100 local endpoints.
  @Test func thousandPoliciesAndTenThousandIdentities() throws {
    let identities = Dictionary(
      uniqueKeysWithValues: (0..<10_000 / PerformanceTests.scale).map { index in
        (
          NumericIdentity(rawValue: UInt32(256 + index)),
          IdentityDetails(
            labels: IdentityLabels(
              podLabels: ["app": "app-\(index / 50 % 100)", "version": "v\(index % 3)", "pod": "\(index)"],
              namespace: "namespace-\(index % 50)"),
            namedPorts: [NamedPort(name: "http", protocol: 6, port: 8080)])
        )
      })
    let documents = try (0..<1000 / PerformanceTests.scale).map { try document(PerformanceTests.rule($0)) }
    let snapshot = PolicySnapshot(
      identities: identities, subjects: Set(identities.keys.sorted().prefix(100)), policies: documents)
    var compiler = PolicyCompiler()
    PerformanceTests.measure("10,000 identities x 1,000 policies from nothing", limit: .seconds(3)) {
      _ = compiler.update(PolicyDelta(snapshot))
    }
    var delta = PolicyDelta()
    delta.changedPolicies = [try document(PerformanceTests.rule(0, method: "PUT"))]
    PerformanceTests.measure("one changed policy of 1,000", limit: .milliseconds(20)) { _ = compiler.update(delta) }
  }

  /// Each of a thousand policies lets all pods in on a port of its own; also with a stranger among the pods' numbers, which
  /// has every peer named.
  @Test(arguments: [false, true]) func thousandPoliciesForAllPods(_ withStranger: Bool) throws {
    var identities = Dictionary(
      uniqueKeysWithValues: (0..<10_000 / PerformanceTests.scale).map { index in
        (
          NumericIdentity(rawValue: UInt32(256 + index)),
          IdentityDetails(
            labels: IdentityLabels(
              podLabels: ["app": "app-\(index % 100)", "pod": "\(index)"], namespace: "namespace-\(index % 50)"))
        )
      })
    let subjects = Set(identities.keys.sorted().prefix(100))
    if withStranger { identities[NumericIdentity(rawValue: 60_000)] = IdentityDetails(labels: IdentityLabels([])) }
    let documents = try (0..<1000 / PerformanceTests.scale).map { index in
      try document(
        policy(
          "all-\(index)", namespace: nil,
          spec: [
            "endpointSelector": ["matchLabels": ["app": .string("app-\(index % 100)")]],
            "ingress": [
              [
                "fromEndpoints": [[:]],
                "toPorts": [["ports": [["port": .string("\(1000 + index)"), "protocol": "TCP"]]]],
              ]
            ],
          ]))
    }
    var compiler = PolicyCompiler()
    let how = withStranger ? "named one by one" : "as one class"
    PerformanceTests.measure("1,000 policies for 10,000 peers, \(how)", limit: .seconds(withStranger ? 60 : 3)) {
      _ = compiler.update(
        PolicyDelta(PolicySnapshot(identities: identities, subjects: subjects, policies: documents)))
    }
    let entries = compiler.maps.values.reduce(0) { $0 + $1.count }
    print("entries, \(how): \(entries)")
    if !withStranger { #expect(entries <= subjects.count * (10 + 3)) }
    var delta = PolicyDelta()
    delta.changedIdentities[NumericIdentity(rawValue: 59_999)] = IdentityDetails(
      labels: IdentityLabels(podLabels: ["app": "new"], namespace: "namespace-1"))
    PerformanceTests.measure("one more peer, \(how)", limit: .milliseconds(withStranger ? 1000 : 5)) {
      _ = compiler.update(delta)
    }
  }

  @Test func tenThousandBlocksOfAddresses() {
    let blocks = (0..<10_000 / PerformanceTests.scale).compactMap { CIDR("10.\($0 >> 8).\($0 & 255).0/24") }
    var identities = CIDRIdentities()
    PerformanceTests.measure("10,000 new blocks", limit: .seconds(1)) {
      #expect(identities.change(adding: blocks, removing: []).count == blocks.count)
    }
    PerformanceTests.measure("one block around 10,000", limit: .milliseconds(50)) {
      #expect(identities.change(adding: [CIDR("10.0.0.0/8")].compactMap { $0 }, removing: []).count == blocks.count + 1)
    }
  }

  @Test func lowering() throws {
    let objects = try (0..<1000 / PerformanceTests.scale).map { try CiliumNetworkPolicy(PerformanceTests.rule($0)) }
    PerformanceTests.measure("lowering 1000 policies", limit: .seconds(3)) {
      for object in objects { _ = PolicyDocument(object) }
    }
  }
}
