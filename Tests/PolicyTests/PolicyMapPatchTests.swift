import Identity
import KubernetesAPI
import Testing

@testable import Policy

@Suite struct PolicyMapPatchTests {
  private static func key(_ peer: UInt32, _ port: UInt16? = nil) -> PolicyKey {
    PolicyKey(
      peer: NumericIdentity(rawValue: peer), direction: .ingress, protocol: port == nil ? 0 : 6, port: port ?? 0,
      prefixLength: port == nil ? PolicyKey.peerPrefix : PolicyKey.portPrefix)
  }

  private static func entry(_ verdict: Verdict) -> PolicyEntry { PolicyEntry(verdict: verdict, rule: 7) }

  private static let several: PolicyMapState = [
    key(300): entry(.allow), key(300, 80): entry(.proxy), key(300, 22): entry(.deny),
  ]

  @Test func `a peer comes with what denies, then what is about fewer ports`() throws {
    let patch = try #require(PolicyMapPatch(from: [:], to: Self.several))
    #expect(patch.removals.isEmpty)
    #expect(patch.additions.map(\.key) == [Self.key(300, 22), Self.key(300, 80), Self.key(300)])
  }

  @Test func `a peer goes the other way`() throws {
    let patch = try #require(PolicyMapPatch(from: Self.several, to: [:]))
    #expect(patch.removals == [Self.key(300), Self.key(300, 80), Self.key(300, 22)])
    #expect(patch.additions.isEmpty)
  }

  @Test func `one comes, one goes, one stays`() throws {
    let patch = try #require(
      PolicyMapPatch(
        from: [Self.key(300): Self.entry(.allow), Self.key(301): Self.entry(.allow)],
        to: [Self.key(300): Self.entry(.allow), Self.key(302): Self.entry(.allow)]))
    #expect(patch.removals == [Self.key(301)])
    #expect(patch.additions.map(\.key) == [Self.key(302)])
  }

  @Test(
    arguments: [
      ([key(300): entry(.allow)], [key(300): entry(.deny)]),
      ([key(300): entry(.allow)], [key(300): entry(.allow), key(300, 80): entry(.deny)]),
      ([key(300): entry(.allow), key(300, 80): entry(.deny)], [key(300): entry(.allow)]),
      ([:], [key(0): entry(.allow)]),
      ([:], [key(PeerClass.allCases.first?.rawValue ?? 0): entry(.allow)]),
    ] as [(PolicyMapState, PolicyMapState)])
  func `anything else takes a new map`(old: PolicyMapState, new: PolicyMapState) {
    #expect(PolicyMapPatch(from: old, to: new) == nil)
  }

  /// Identities come and go; what was patched is what the compiler has, and what one has that begins with the outcome.
  @Test(arguments: 0..<20) func `patches lead to the same maps`(_ seed: Int) throws {
    var random = RandomPolicies(seed: seed)
    let cluster = random.cluster()
    let documents = try (0..<4).map { try document(random.policy("p\($0)")) }
    var snapshot = cluster.snapshot(documents)
    var compiler = PolicyCompiler()
    _ = compiler.update(PolicyDelta(snapshot))
    var kernel = compiler.maps
    let strangers = snapshot.identities.keys.filter { !$0.isReserved }.sorted().enumerated().map { index, model in
      (NumericIdentity(rawValue: 50_000 + UInt32(index)), snapshot.identities[model])
    }
    for step in 0..<2 * strangers.count {
      var delta = PolicyDelta()
      let (number, details) = strangers[step % strangers.count]
      if step < strangers.count {
        delta.changedIdentities[number] = details
      } else {
        delta.removedIdentities = [number]
      }
      if step == strangers.count { delta.changedIdentities[strangers[1].0] = strangers[0].1 }
      let change = compiler.update(delta)
      for identity in change.maps {
        if let patch = change.patches[identity] {
          for key in patch.removals { #expect(kernel[identity]?.removeValue(forKey: key) != nil) }
          for addition in patch.additions { kernel[identity]?[addition.key] = addition.entry }
        } else {
          kernel[identity] = compiler.maps[identity]
        }
      }
      for identity in change.removedMaps { kernel[identity] = nil }
      #expect(Set(change.patches.keys).isSubset(of: change.maps))
      try #require(kernel == compiler.maps, "step \(step)")
      if step == strangers.count - 1 {
        for (number, details) in strangers { snapshot.identities[number] = details }
        var fresh = PolicyCompiler(allocations: compiler.allocations)
        _ = fresh.update(PolicyDelta(snapshot))
        #expect(fresh.maps == compiler.maps)
      }
    }
  }
}
