import Identity
import KubernetesAPI
import Policy
import Testing

/// Changes merged and applied at once have the outcome of the changes one after another.
@Suite struct DeltaTests {
  private static func rule(_ name: String, port: String) throws -> PolicyDocument {
    try document(
      policy(
        name,
        spec: [
          "endpointSelector": [:],
          "ingress": [["fromEndpoints": [[:]], "toPorts": [["ports": [["port": .string(port), "protocol": "TCP"]]]]]],
        ]))
  }

  @Test func mergedChangesHaveTheOutcomeOfEach() throws {
    var random = SystemRandomNumberGenerator()
    let start = ScenarioTests.cluster.snapshot([])
    let identities = start.identities.keys.sorted()
    for _ in 0..<200 {
      var single = PolicyCompiler()
      var merged = PolicyCompiler()
      _ = single.update(PolicyDelta(start))
      _ = merged.update(PolicyDelta(start))
      var sum = PolicyDelta()
      for _ in 0..<6 {
        var delta = PolicyDelta()
        let document = try DeltaTests.rule("p\(Int.random(in: 0..<3))", port: "\(Int.random(in: 1...9))")
        let identity = try #require(identities.randomElement(using: &random))
        switch Int.random(in: 0..<4) {
        case 0: delta.removedPolicies = [document.key]
        case 1: delta.removedSubjects = [identity]
        case 2: delta.addedSubjects = [identity]
        default: delta.changedPolicies = [document]
        }
        _ = single.update(delta)
        sum.merge(delta)
      }
      _ = merged.update(sum)
      #expect(verdicts(single) == verdicts(merged))
      #expect(single.status == merged.status)
    }
  }

  /// What the kernel would do; the rules' numbers depend on the order in which they came.
  private func verdicts(_ compiler: PolicyCompiler) -> [NumericIdentity: [PolicyKey: Verdict]] {
    compiler.maps.mapValues { $0.mapValues(\.verdict) }
  }

  @Test func emptiness() throws {
    var delta = PolicyDelta()
    #expect(delta.isEmpty)
    delta.merge(delta)
    #expect(delta.isEmpty)
    delta.changedPolicies = [try DeltaTests.rule("p", port: "1")]
    #expect(!delta.isEmpty)
    var removal = PolicyDelta()
    removal.removedPolicies = Set(delta.changedPolicies.map(\.key))
    delta.merge(removal)
    #expect(delta.changedPolicies.isEmpty && !delta.isEmpty)
  }
}
