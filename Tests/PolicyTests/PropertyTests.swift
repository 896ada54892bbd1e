import Addressing
import Foundation
import Identity
import JSON
import ProxyRules
import TestSupport
import Testing

@testable import Policy

@Suite struct PropertyTests {
  static let protocols: [UInt8] = [6, 17, 132, 1, 58, 47]
  static let ports: [UInt16] = [
    0, 1, 8, 52, 53, 54, 79, 80, 81, 82, 89, 90, 91, 99, 100, 127, 128, 1080, 1091, 60080, 65535,
  ]
  static let addresses = [
    "10.1.2.3", "10.1.2.4", "10.1.9.9", "10.9.9.9", "192.0.2.7", "8.8.8.8", "2001:db8::1", "2001:db8::2", "2a00::1",
    "0:1::1",
  ]

  static func peers(_ cluster: Cluster) -> [TestPeer] {
    cluster.pods.map { .pod($0) } + addresses.compactMap { IPAddress($0).map { .address($0) } }
      + [ReservedIdentity.host, .remoteNode, .kubeAPIServer, .health, .worldIPv4].map { .reserved($0) }
  }

  /// The kernel's algorithm on the compiled maps decides as the documents say.
  /// `MARTLET_PROPERTY_SEEDS` asks for more of them.
  static let seeds = ProcessInfo.processInfo.environment["MARTLET_PROPERTY_SEEDS"].flatMap { Int($0) } ?? 60

  @Test(arguments: 0..<seeds) func mapsMeanWhatDocumentsSay(_ seed: Int) throws {
    var random = RandomPolicies(seed: seed)
    let cluster = random.cluster()
    let policies = (0..<Int.random(in: 1...5, using: &random.random)).map { random.policy("p\($0)") }
    var allocations = PolicyAllocations()
    let compiled = PolicyCompiler.compile(
      cluster.snapshot(try policies.map { try document($0) }), allocations: &allocations)
    try compare(compiled, Oracle(cluster: cluster, policies: policies), &random.random, "seed \(seed)")
  }

  private func compare(
    _ compiled: CompiledPolicy, _ oracle: Oracle, _ random: inout SeededGenerator, _ context: String
  ) throws {
    let kernel = KernelLookup(compiled: compiled)
    let peers = PropertyTests.peers(oracle.cluster).map { ($0, $0.identity(kernel)) }
    for _ in 0..<2000 {
      let subject = random.pick(oracle.cluster.pods)
      let (peer, identity) = random.pick(peers)
      let direction = random.pick(Direction.allCases)
      let number = random.chance(50) ? 6 : random.pick(PropertyTests.protocols)
      let port = random.pick(PropertyTests.ports)
      let (outcome, rule) = kernel.decide(subject.identity, identity, direction, number, port)
      let expected = oracle.decide(subject, peer, direction, number, port)
      if outcome != expected {
        let documents = oracle.policies.map { $0.text(pretty: true) }.joined(separator: "\n")
        let question = "\(subject.namespace)/\(subject.name) \(subject.labels) \(direction) \(peer) \(number)/\(port)"
        try #require(outcome == expected, "\(context): \(question)\n\(documents)")
      }
      if outcome != .drop { try #require(compiled.rules[rule] != nil) }
    }
  }

  /// Any history of changes ends where compiling the end from nothing does, but for the numbers given.
  @Test(arguments: 0..<seeds / 2) func incrementalEqualsFromScratch(_ seed: Int) throws {
    var random = RandomPolicies(seed: 10_000 + seed)
    var compiler = PolicyCompiler()
    var snapshot = PolicySnapshot()
    for step in 0..<25 {
      let delta = try random.delta(snapshot)
      let before = compiler.maps
      let change = compiler.update(delta)
      snapshot.apply(delta)
      var allocations = PolicyAllocations()
      let scratch = PolicyCompiler.compile(snapshot, allocations: &allocations)
      let (left, right) = (Anonymous(compiler.compiled), Anonymous(scratch))
      let differing = right.maps.keys.filter { left.maps[$0] != right.maps[$0] }.sorted()
      try #require(left == right, "seed \(seed) step \(step): subjects \(differing)\(left.difference(right))")
      let changed = Set(compiler.maps.filter { before[$0.key] != $0.value }.map(\.key))
      #expect(changed.isSubset(of: change.maps))
      #expect(Set(before.keys).subtracting(compiler.maps.keys) == change.removedMaps)
    }
    _ = compiler.update(snapshot.removal)
    #expect(compiler.compiled == PolicyCompiler().compiled)
    #expect(compiler.selectors.selectorCount == 0)
    #expect(compiler.allocations.rules.numbers.isEmpty && compiler.allocations.ruleSets.numbers.isEmpty)
  }

  /// Equal input, equal output: numbers too.
  @Test func compilingIsDeterministic() throws {
    for seed in 0..<10 {
      var random = RandomPolicies(seed: seed)
      let cluster = random.cluster()
      let documents = try (0..<6).map { try document(random.policy("p\($0)")) }
      var first = PolicyAllocations()
      var second = PolicyAllocations()
      let one = PolicyCompiler.compile(cluster.snapshot(documents), allocations: &first)
      let two = PolicyCompiler.compile(cluster.snapshot(documents.reversed()), allocations: &second)
      #expect(one == two)
      #expect(PolicyCompiler.compile(cluster.snapshot(documents), allocations: &first) == one)
    }
  }
}

/// A compiled policy with every number replaced by what it stands for.
struct Anonymous: Equatable {
  struct Key: Hashable {
    let peer: String
    let direction: Direction
    let service: [UInt16]
  }
  struct Entry: Hashable {
    let verdict: Verdict
    let origin: RuleOrigin?
    let http: [HTTPRule]
    let httpOrigins: [RuleOrigin?]
  }

  /// What to print of two that should be equal.
  func difference(_ other: Anonymous) -> String {
    var text = ""
    for subject in Set(maps.keys).union(other.maps.keys).sorted() {
      let (mine, theirs) = (maps[subject] ?? [:], other.maps[subject] ?? [:])
      for key in Set(mine.keys).union(theirs.keys) where mine[key] != theirs[key] {
        text += "\n\(subject) \(key): \(String(describing: mine[key])) / \(String(describing: theirs[key]))"
      }
    }
    if cidrs != other.cidrs { text += "\ncidrs \(cidrs) / \(other.cidrs)" }
    if status != other.status { text += "\nstatus \(status) / \(other.status)" }
    if origins != other.origins { text += "\norigins \(origins.symmetricDifference(other.origins))" }
    return text
  }

  var maps: [NumericIdentity: [Key: Entry]] = [:]
  var cidrs: Set<String> = []
  var status: [String: PolicyObjectStatus] = [:]
  var origins: Set<RuleOrigin> = []

  init(_ compiled: CompiledPolicy) {
    let names = Dictionary(
      uniqueKeysWithValues: compiled.cidrIdentities.map { ($0.value.identity, "\($0.value.labels)") })
    let sets = Dictionary(uniqueKeysWithValues: compiled.ruleSets.map { ($0.id, $0.http?.rules ?? []) })
    for (subject, map) in compiled.maps {
      maps[subject] = Dictionary(
        uniqueKeysWithValues: map.map { key, entry in
          let http = sets[entry.proxyRules] ?? []
          let anonymous = http.map { rule in
            var rule = rule
            rule.id = 0
            return rule
          }
          return (
            Key(
              peer: names[key.peer] ?? "\(key.peer)", direction: key.direction,
              service: [UInt16(key.protocol), key.port, UInt16(key.prefixLength)]),
            Entry(
              verdict: entry.verdict, origin: compiled.rules[entry.rule], http: anonymous,
              httpOrigins: http.map { compiled.rules[$0.id] })
          )
        })
    }
    cidrs = Set(compiled.cidrIdentities.values.map { "\($0.labels)" })
    status = Dictionary(uniqueKeysWithValues: compiled.status.map { ($0.key.description, $0.value) })
    origins = Set(compiled.rules.origins.values)
  }
}

extension PolicySnapshot {
  mutating func apply(_ delta: PolicyDelta) {
    subjects.subtract(delta.removedSubjects)
    subjects.formUnion(delta.addedSubjects)
    for identity in delta.removedIdentities { identities[identity] = nil }
    identities.merge(delta.changedIdentities) { $1 }
    let gone = delta.removedPolicies.union(delta.changedPolicies.map(\.key))
    policies = policies.filter { !gone.contains($0.key) } + delta.changedPolicies
  }

  var removal: PolicyDelta {
    var delta = PolicyDelta()
    delta.removedIdentities = Set(identities.keys)
    delta.removedSubjects = subjects
    delta.removedPolicies = Set(policies.map(\.key))
    return delta
  }
}

extension RandomPolicies {
  mutating func delta(_ snapshot: PolicySnapshot) throws -> PolicyDelta {
    var delta = PolicyDelta()
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let identity = NumericIdentity(rawValue: UInt32.random(in: 1000..<1008, using: &random))
      switch Int.random(in: 0..<6, using: &random) {
      case 0, 1:
        let pod = cluster().pods[0]
        delta.changedIdentities[identity] = IdentityDetails(labels: pod.identityLabels, namedPorts: pod.ports)
        delta.removedIdentities.remove(identity)
      case 2:
        delta.removedIdentities.insert(identity)
        delta.changedIdentities[identity] = nil
      case 3:
        if snapshot.subjects.contains(identity) {
          delta.removedSubjects.insert(identity)
          delta.addedSubjects.remove(identity)
        } else {
          delta.addedSubjects.insert(identity)
        }
      default:
        let new = try document(policy("p\(Int.random(in: 0..<5, using: &random))"))
        delta.changedPolicies.removeAll { $0.key == new.key }
        if random.chance(25) { delta.removedPolicies.insert(new.key) } else { delta.changedPolicies.append(new) }
      }
    }
    // A policy of one name is either changed or removed.
    delta.removedPolicies.subtract(delta.changedPolicies.map(\.key))
    return delta
  }
}
