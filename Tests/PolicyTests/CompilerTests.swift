import Addressing
import Identity
import JSON
import KubernetesAPI
import Policy
import ProxyRules
import Testing

/// Numbers, entries and changes, which scenarios do not see.
@Suite struct CompilerTests {
  private func about(_ members: JSONValue) throws -> PolicyDocument { try document(ScenarioTests.about(members)[0]) }

  private func ingress(_ methods: String...) throws -> PolicyDocument {
    try about([
      "ingress": [
        [
          "fromEndpoints": [["matchLabels": ["app": "reviews"]]],
          "toPorts": [
            [
              "ports": [["port": "9080", "protocol": "TCP"]],
              "rules": ["http": .array(methods.map { ["method": .string($0)] })],
            ]
          ],
        ]
      ]
    ])
  }

  private func update(_ compiler: inout PolicyCompiler, _ document: PolicyDocument) -> PolicyChange {
    var delta = PolicyDelta()
    delta.changedPolicies = [document]
    return compiler.update(delta)
  }

  @Test func entriesAndAuthors() throws {
    let cluster = ScenarioTests.cluster
    var allocations = PolicyAllocations()
    let compiled = PolicyCompiler.compile(cluster.snapshot([try ingress("GET")]), allocations: &allocations)
    let subject = cluster.pods[0].identity
    let map = try #require(compiled.maps[subject])
    #expect(map.count == 3)
    let key = PolicyKey(peer: cluster.pods[1].identity, direction: .ingress, protocol: 6, port: 9080, prefixLength: 64)
    let entry = try #require(map[key])
    #expect(entry.verdict == .proxy)
    #expect(compiled.rules[entry.rule]?.path == "spec.ingress[0].toPorts[0].ports[0]")
    #expect(compiled.rules[entry.rule]?.object?.description == "CiliumNetworkPolicy default/p")
    let set = try #require(compiled.ruleSets.first { $0.id == entry.proxyRules })
    #expect(set.http?.rules.map(\.method) == ["GET"])
    #expect(compiled.rules[set.rules.ids[0]]?.path == "spec.ingress[0].toPorts[0].rules.http[0]")
    let egress = PolicyKey(peer: .any, direction: .egress, prefixLength: 40)
    #expect(map[egress] == PolicyEntry(verdict: .allow, rule: RuleTable.unrestrictedEgress))
    let host = PolicyKey(peer: ReservedIdentity.host.identity, direction: .ingress, prefixLength: 40)
    #expect(map[host] == PolicyEntry(verdict: .allow, rule: RuleTable.localHost))
    #expect(compiled.rules[RuleTable.localHost]?.author == nil)
    #expect(compiled.rules[entry.rule]?.author?.path.isEmpty == false)
  }

  @Test func idsOfHTTPRuleSetsOutliveTheirContent() throws {
    var compiler = PolicyCompiler()
    _ = compiler.update(PolicyDelta(ScenarioTests.cluster.snapshot([try ingress("GET")])))
    let before = try #require(compiler.ruleSets.first)
    let change = update(&compiler, try ingress("GET", "PUT"))
    let after = try #require(compiler.ruleSets.first)
    #expect(before.key == after.key)
    #expect(before.value.rules.ids[0] == after.value.rules.ids[0])
    #expect(after.value.http?.rules.map(\.method) == ["GET", "PUT"])
    #expect(change.ruleSets == [after.key])
    #expect(change.maps.isEmpty)

    var delta = PolicyDelta()
    delta.removedPolicies = [ObjectKey(kind: "CiliumNetworkPolicy", namespace: "default", name: "p")]
    let removal = compiler.update(delta)
    #expect(removal.removedRuleSets == [after.key])
    _ = update(&compiler, try ingress("GET"))
    #expect(compiler.ruleSets[after.key] == nil, "a number must not be reused at once")
  }

  @Test func numbersSurviveARestart() throws {
    let documents = [
      try ingress("GET"),
      try document(policy("c", spec: ["endpointSelector": [:], "egress": [["toCIDR": ["10.0.0.0/8"]]]])),
    ]
    var first = PolicyCompiler()
    _ = first.update(PolicyDelta(ScenarioTests.cluster.snapshot([documents[1]])))
    _ = update(&first, documents[0])
    var second = PolicyCompiler(allocations: first.allocations)
    _ = second.update(PolicyDelta(ScenarioTests.cluster.snapshot(documents)))
    second.releaseUnused()
    #expect(first.compiled == second.compiled)
    var third = PolicyCompiler(allocations: second.allocations)
    _ = third.update(PolicyDelta(ScenarioTests.cluster.snapshot([])))
    third.releaseUnused()
    #expect(third.allocations.rules.numbers.isEmpty)
    #expect(third.allocations.ruleSets.numbers.isEmpty)
    #expect(third.compiled.ipcache.count == 2)
  }

  @Test func sameChangeTwiceChangesNothing() throws {
    var compiler = PolicyCompiler()
    _ = compiler.update(PolicyDelta(ScenarioTests.cluster.snapshot([try ingress("GET")])))
    let change = update(&compiler, try ingress("GET"))
    #expect(change.maps.isEmpty && change.ruleSets.isEmpty && change.status.isEmpty && change.cidrs.isEmpty)
  }

  @Test func newPeerTouchesOnlyMapsThatNameIt() throws {
    var compiler = PolicyCompiler()
    _ = compiler.update(PolicyDelta(ScenarioTests.cluster.snapshot([try ingress("GET")])))
    var delta = PolicyDelta()
    let peer = NumericIdentity(rawValue: 2000)
    delta.changedIdentities[peer] = IdentityDetails(
      labels: IdentityLabels(podLabels: ["app": "reviews", "version": "v2"], namespace: "default"))
    #expect(compiler.update(delta).maps == [ScenarioTests.cluster.pods[0].identity])
    delta.changedIdentities[peer] = IdentityDetails(
      labels: IdentityLabels(podLabels: ["app": "ratings"], namespace: "default"))
    #expect(compiler.update(delta).maps == [ScenarioTests.cluster.pods[0].identity])
    #expect(compiler.update(delta).isEmpty)
  }

  @Test func aSubjectWithoutKnownLabelsIsClosed() {
    var compiler = PolicyCompiler()
    var delta = PolicyDelta()
    delta.addedSubjects = [NumericIdentity(rawValue: 3000)]
    #expect(compiler.update(delta).maps == [NumericIdentity(rawValue: 3000)])
    #expect(compiler.maps[NumericIdentity(rawValue: 3000)] == [:])
  }

  @Test func nestedBlocksCarryTheLabelsOfAllThatCoverThem() throws {
    var compiler = PolicyCompiler()
    _ = compiler.update(
      PolicyDelta(
        ScenarioTests.cluster.snapshot([
          try about(["egress": [["toCIDR": ["10.1.0.0/16"]], ["toCIDRSet": [["cidr": "10.1.2.0/24"]]]]])
        ])))
    let outer = try document(policy("outer", spec: ["endpointSelector": [:], "egress": [["toCIDR": ["10.0.0.0/8"]]]]))
    let change = update(&compiler, outer)
    #expect(change.cidrs.count == 3)
    let inner = try #require(CIDR("10.1.2.0/24").flatMap { compiler.cidrIdentities[$0] })
    #expect(inner.labels.description == "cidr:10.0.0.0/8,cidr:10.1.0.0/16,cidr:10.1.2.0/24,reserved:world-ipv4")
    #expect(inner.identity.isLocal)
    #expect(compiler.compiled.ipcache[try #require(CIDR("0.0.0.0/0"))] == ReservedIdentity.worldIPv4.identity)
    #expect(compiler.compiled.ipcache[try #require(CIDR("::/0"))] == ReservedIdentity.worldIPv6.identity)
  }

  @Test(
    arguments: [
      (8000...9000, 7), (0...65535, 1), (80...80, 1), (1...65535, 16), (1...2, 2), (65535...65535, 1),
    ] as [(ClosedRange<Int>, Int)])
  func rangesBecomeFewBlocks(_ range: ClosedRange<Int>, _ count: Int) throws {
    var port: JSONValue = ["port": .string(String(max(1, range.lowerBound))), "protocol": "TCP"]
    port["endPort"] = .integer(Int64(range.upperBound))
    if range.lowerBound == 0 { port = ["port": "0", "protocol": "TCP"] }
    var allocations = PolicyAllocations()
    let compiled = PolicyCompiler.compile(
      ScenarioTests.cluster.snapshot([try about(["ingress": [["toPorts": [["ports": [port]]]]]])]),
      allocations: &allocations)
    let keys = (compiled.maps[ScenarioTests.cluster.pods[0].identity] ?? [:]).keys
      .filter { $0.peer == .any && $0.direction == .ingress }
    #expect(keys.count == count)
    #expect(keys.reduce(0) { $0 + $1.ports.count } == range.count)
    #expect(keys.allSatisfy { range.contains(Int($0.ports.lowerBound)) && range.contains(Int($0.ports.upperBound)) })
  }
}
