import Addressing
import Identity
import JSON
import KubernetesAPI
import ProxyRules
import Testing

@testable import Policy

@Suite struct NameTests {
  private static func addresses(_ texts: String...) -> [IPAddress] { texts.map { IPAddress($0)! } }
  private static let first = IPAddress("192.0.2.1")!
  private static let second = IPAddress("2001:db8::2")!

  private static func policy(_ patterns: String...) throws -> PolicyDocument {
    try document(
      ScenarioTests.about([
        "egress": [["toFQDNs": .array(patterns.map { ["matchPattern": .string($0)] })], ["toCIDR": ["192.0.2.0/24"]]]
      ])[0])
  }

  private static func compiler(_ patterns: String...) throws -> PolicyCompiler {
    var compiler = PolicyCompiler()
    var snapshot = ScenarioTests.cluster.snapshot([])
    let peers = JSONValue.array(patterns.map { ["matchPattern": .string($0)] })
    snapshot.policies = [try document(ScenarioTests.about(["egress": [["toFQDNs": peers]]])[0])]
    _ = compiler.update(PolicyDelta(snapshot))
    return compiler
  }

  private func names(_ address: IPAddress, _ names: String...) -> PolicyDelta {
    var delta = PolicyDelta()
    delta.names[address] = Set(names)
    return delta
  }

  @Test func aPatternHasAnIdentityBeforeItsFirstAddress() throws {
    var compiler = try Self.compiler("*.a.example", "b.example")
    let table = compiler.allocations.names.table
    #expect(table.patterns.map(\.text) == ["*.a.example", "b.example"] && table.identities.count == 4)
    // The first address of a name asks for no new map: its identity's policy is in the kernel already.
    let change = compiler.update(names(Self.first, "x.a.example"))
    #expect(change.addresses == [Self.first] && change.isOnlyAboutAddresses && change.maps.isEmpty)
    let identity = try #require(compiler.compiled.ipcache[CIDR(Self.first)])
    #expect(identity.rawValue == table.identities[table.key(Self.first, [DNSNamePattern("*.a.example")])])
    let labels = try #require(compiler.knownIdentities[identity]).description
    #expect(labels == "fqdn:*.a.example,reserved:world-ipv4")
  }

  @Test func anAddressBelongsToEachOfItsNames() throws {
    var compiler = try Self.compiler("*.a.example", "b.example")
    _ = compiler.update(names(Self.second, "x.a.example"))
    let one = try #require(compiler.allocations.names[Self.second])
    let change = compiler.update(names(Self.second, "x.a.example", "b.example", "c.example"))
    let both = try #require(compiler.allocations.names[Self.second])
    #expect(both != one && change.names && !change.maps.isEmpty, "a new set of patterns needs entries in maps")
    #expect(compiler.knownIdentities[both]?.description == "fqdn:*.a.example,fqdn:b.example,reserved:world-ipv6")
    #expect(compiler.update(names(Self.second)).addresses == [Self.second])
    #expect(compiler.compiled.ipcache[CIDR(Self.second)] == nil)
  }

  @Test func aNameThatNobodySelectsIsFoundWhenSomebodyDoes() throws {
    var compiler = try Self.compiler("b.example")
    #expect(compiler.update(names(Self.first, "x.a.example")).addresses.isEmpty)
    var delta = PolicyDelta()
    delta.changedPolicies = [try Self.policy("*.a.example")]
    #expect(compiler.update(delta).addresses == [Self.first])
    let identity = try #require(compiler.allocations.names[Self.first])
    let labels = try #require(compiler.knownIdentities[identity]).description
    #expect(labels.contains("fqdn:*.a.example") && labels.contains("cidr:192.0.2.0/24"), "\(labels)")
    var removal = PolicyDelta()
    removal.removedPolicies = [delta.changedPolicies[0].key]
    #expect(compiler.update(removal).addresses == [Self.first])
    #expect(compiler.allocations.names.table == NameTable() && compiler.knownIdentities[identity] == nil)
  }

  @Test func numbersOutliveTheAgent() throws {
    var compiler = try Self.compiler("*.a.example", "b.example")
    _ = compiler.update(names(Self.first, "x.a.example", "b.example"))
    let table = try NameTable(parsing: compiler.allocations.names.table.json.serialized())
    #expect(table == compiler.allocations.names.table)
    var allocations = PolicyAllocations()
    allocations.names = NameIdentities(table: table)
    var next = PolicyCompiler(allocations: allocations)
    var snapshot = ScenarioTests.cluster.snapshot([])
    snapshot.policies = [try Self.policy("b.example", "*.a.example")]
    _ = next.update(PolicyDelta(snapshot))
    for (key, number) in table.identities where key.blocks.isEmpty && key.patterns.count == 1 {
      #expect(next.allocations.names.table.identities[key] == number)
    }
  }

  // MARK: The cache

  private func learned(_ name: String, _ address: String, _ expires: Int64) -> LearnedName {
    LearnedName(name: name, addresses: [IPAddress(address)!], expires: expires)
  }

  @Test func answersExpireUnlessTheyAreInUse() {
    var cache = NameCache()
    cache.options.grace = 10
    #expect(cache.learn(learned("a", "192.0.2.1", 100), now: 50) == [Self.first])
    #expect(cache.learn(learned("a", "192.0.2.1", 120), now: 60).isEmpty, "extended")
    #expect(cache.learn(learned("b", "192.0.2.1", 90), now: 60) == [Self.first])
    #expect(cache.owners(Self.first) == ["a", "b"])
    #expect(cache.expire(now: 99) { _ in [] }.isEmpty)
    #expect(cache.expire(now: 100) { _ in [] } == [Self.first])
    #expect(cache.owners(Self.first) == ["a"])
    #expect(cache.expire(now: 130) { $0 }.isEmpty, "a connection lives")
    #expect(cache.expire(now: 131) { _ in [] } == [Self.first] && cache.names.isEmpty && cache.addressCount == 0)
    #expect(cache.learn(learned("a", "192.0.2.1", 100), now: 200).isEmpty, "too old")
  }

  @Test func minimumTimeToLiveHolds() {
    var cache = NameCache()
    cache.options.grace = 0
    cache.options.minimumTimeToLive = 30
    _ = cache.learn(learned("a", "192.0.2.1", 101), now: 100)
    #expect(cache.expire(now: 129) { _ in [] }.isEmpty)
    #expect(!cache.expire(now: 130) { _ in [] }.isEmpty)
  }

  @Test func addressesAndNamesAreBounded() {
    var cache = NameCache()
    cache.options.maximumAddresses = 2
    cache.options.maximumNames = 10
    _ = cache.learn(learned("a", "192.0.2.1", 300), now: 0)
    _ = cache.learn(learned("a", "192.0.2.2", 100), now: 0)
    #expect(cache.learn(learned("a", "192.0.2.3", 200), now: 0).count == 2)
    #expect(cache.names["a"]?.keys.sorted() == Self.addresses("192.0.2.1", "192.0.2.3") && cache.evicted == 1)
    for number in 1...20 { _ = cache.learn(learned("n\(number)", "198.51.100.\(number)", Int64(number)), now: 0) }
    #expect(cache.names.count <= 10 && cache.names["a"] != nil)
  }

  @Test func theCacheSurvivesItsDocument() throws {
    var cache = NameCache()
    _ = cache.learn(learned("a", "192.0.2.1", 300), now: 0)
    _ = cache.learn(learned("b", "2001:db8::2", 50), now: 0)
    var next = NameCache()
    try next.restore(JSONCursor(try JSONValue(parsing: cache.json.serialized())), now: 200)
    #expect(next.names == ["a": [Self.first: 300]], "what has expired is not taken over")
  }
}
