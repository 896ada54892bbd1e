import Addressing
import Identity
import Labels
import Testing

@Suite struct IdentityTests {
  @Test func reservedNumbersAndNames() {
    let names = ReservedIdentity.allCases.map { "\($0.rawValue) \($0.name)" }
    #expect(
      names == [
        "1 host", "2 world", "3 unmanaged", "4 health", "5 init", "6 remote-node", "7 kube-apiserver", "8 ingress",
        "9 world-ipv4", "10 world-ipv6",
      ])
    #expect(NumericIdentity(rawValue: 6).description == "remote-node")
    #expect(NumericIdentity(rawValue: 300).description == "300")
    #expect(NumericIdentity(rawValue: 1 << 24).isLocal && !NumericIdentity(rawValue: 1 << 24).isCluster)
  }

  @Test func labelsOfAPod() {
    let labels = IdentityLabels(
      podLabels: ["app": "web", "pod-template-hash": "5d4", "io.kubernetes.pod.namespace": "forged"], namespace: "shop",
      namespaceLabels: ["team": "a"], serviceAccount: "web")
    #expect(
      labels.labels.map(\.description) == [
        "k8s:app=web", "k8s:io.cilium.k8s.namespace.labels.team=a", "k8s:io.cilium.k8s.policy.cluster=default",
        "k8s:io.cilium.k8s.policy.serviceaccount=web", "k8s:io.kubernetes.pod.namespace=shop",
      ])
    #expect(IdentityLabels(sourced: labels.sourced) == labels)
  }

  @Test(arguments: [
    ("app", true), ("app.kubernetes.io/name", true), ("io.kubernetes.pod.namespace", true),
    ("io.kubernetes.pod.uid", false), ("kubernetes.io/hostname", false), ("k8s.io/x", false), ("k8s-app", true),
    ("topology.kubernetes.io/zone", true), ("failure-domain.beta.kubernetes.io/zone", false),
    ("beta.kubernetes.io/arch", false), ("pod-template-hash", false), ("pod-template-generation", false),
    ("controller-revision-hash", false), ("statefulset.kubernetes.io/pod-name", false),
    ("apps.kubernetes.io/pod-index", false), ("batch.kubernetes.io/job-completion-index", false),
    ("annotation.x", false), ("etcd_node", false), ("io.cilium.k8s.policy.cluster", true),
  ])
  func relevantKeys(_ key: String, _ relevant: Bool) { #expect(IdentityLabels.isRelevant(key) == relevant) }

  @Test(arguments: [
    ("k8s:app=web", true), ("any:app=web", true), ("app=web", true), ("app=api", false), ("reserved:app=web", false),
    ("app in (web, api)", true), ("app notin (web)", false), ("app!=api", true), ("k8s:app", true), ("!any:app", false),
    ("!other", true), ("other", false), ("other!=x", true), ("other=", false), ("app,tier=1", false), ("", true),
  ])
  func selectorKeys(_ text: String, _ expected: Bool) throws {
    let selector = IdentitySelector(try LabelSelector(parsing: text))
    #expect(selector.matches(IdentityLabels([SecurityLabel("k8s:app=web"), SecurityLabel("k8s:zone=1")])) == expected)
  }

  @Test func reservedLabelsAreSelectedByTheirSource() throws {
    let selector = IdentitySelector(try LabelSelector(parsing: "reserved:host="))
    #expect(selector.matches(ReservedIdentity.host.labels))
    #expect(!selector.matches(IdentityLabels(podLabels: ["host": ""], namespace: "a")))
  }
}

@Suite struct AllocationTests {
  private func labels(_ app: String) -> IdentityLabels { IdentityLabels(podLabels: ["app": app], namespace: "a") }

  private func number(_ raw: UInt32) -> NumericIdentity { NumericIdentity(rawValue: raw) }

  @Test func aReservedNumberIsNobodysUntilConfirmed() throws {
    var allocator = IdentityAllocator([number(257): labels("known")])
    let reserved = try allocator.reserve(labels("a"))
    #expect(allocator[labels("a")] == nil)
    #expect(try allocator.reserve(labels("b")) != reserved)
    allocator.confirm(labels("a"))
    #expect(allocator[labels("a")] == reserved)
    #expect(allocator[reserved] == labels("a"))
    allocator.release(labels("b"))
    allocator.confirm(labels("b"))
    #expect(allocator[labels("b")] == nil)
    #expect(allocator[labels("known")] == number(257))
  }

  @Test func aListDoesNotFreeWhatIsReserved() throws {
    var allocator = IdentityAllocator()
    let first = try allocator.reserve(labels("a"))
    allocator.replace([:])
    #expect(try allocator.reserve(labels("b")) != first)
    allocator.confirm(labels("a"))
    #expect(allocator[labels("a")] == first)
  }

  @Test func ofTwoNumbersTheSmallestIsUsedAndNeitherIsFree() throws {
    let same = labels("a")
    var allocator = IdentityAllocator([number(257): same, number(256): same, number(7): labels("b")])
    #expect(allocator[same] == number(256))
    #expect(allocator[labels("b")] == nil)
    #expect(try allocator.reserve(labels("c"), preferring: number(257)) == number(258))
    allocator.remove(number(256))
    #expect(allocator[same] == number(257))
  }

  @Test func labelsWithSeveralNumbersAlwaysHaveTheSmallest() {
    var allocator = IdentityAllocator()
    var known: [NumericIdentity: IdentityLabels] = [:]
    for _ in 0..<2000 {
      let identity = number(.random(in: 256...263))
      let new = labels("\(Int.random(in: 0..<3))")
      known[identity] = Bool.random() ? new : nil
      if known[identity] == nil { allocator.remove(identity) } else { allocator.insert(identity, new) }
      for each in 0..<3 {
        let expected = known.filter { $0.value == labels("\(each)") }.keys.min()
        #expect(allocator[labels("\(each)")] == expected)
      }
    }
  }

  @Test func removingOneDoesNotLookAtTheOthers() {
    let all = (0..<UInt32(3000)).map { (number(256 + $0), labels("\($0)")) }
    var allocator = IdentityAllocator(Dictionary(uniqueKeysWithValues: all))
    // Several times that much when each is compared with all that are left.
    let time = ContinuousClock().measure { for (identity, _) in all { allocator.remove(identity) } }
    #expect(time < .seconds(2))
    #expect(allocator[labels("0")] == nil)
  }

  @Test func aNumberIsGivenAgainLate() throws {
    var allocator = IdentityAllocator([number(300): labels("a")])
    allocator.remove(number(300))
    #expect(try allocator.reserve(labels("b")) == number(301))
    #expect(try allocator.reserve(labels("a"), preferring: number(300)) == number(300))
  }

  @Test func exhaustionIsAnError() throws {
    let range: ClosedRange<UInt32> = 290...310
    let all = range.map { (number($0), labels("\($0)")) }
    var allocator = IdentityAllocator(Dictionary(uniqueKeysWithValues: all), range: range)
    #expect(throws: IdentitiesExhausted.self) { try allocator.reserve(labels("one more")) }
    allocator.remove(number(300))
    #expect(try allocator.reserve(labels("one more")) == number(300))
  }

  @Test func cyclingReusesLate() {
    var allocator = NumberAllocator<String>(range: 1...3, order: .cycling)
    #expect(allocator.allocate("a") == 1)
    allocator.release("a")
    #expect(allocator.allocate("b") == 2)
    #expect(allocator.allocate("c") == 3)
    #expect(allocator.allocate("d") == 1)
    #expect(allocator.allocate("e") == nil)
  }

  @Test func blocks() throws {
    var blocks = CIDRIdentities()
    let outer = try #require(CIDR("10.0.0.0/8"))
    let inner = try #require(CIDR("10.1.0.0/16"))
    let other = try #require(CIDR("2001:db8::/32"))
    #expect(blocks.change(adding: [inner, other], removing: []) == [inner, other].sorted())
    #expect(blocks.change(adding: [outer, inner], removing: []) == [outer, inner].sorted())
    #expect(blocks[inner]?.rawValue == 1 << 24)
    #expect(blocks.labels(inner)?.description == "cidr:10.0.0.0/8,cidr:10.1.0.0/16,reserved:world-ipv4")
    #expect(blocks.labels(other)?.description == "cidr:2001:db8::/32,reserved:world-ipv6")
    #expect(blocks.change(adding: [], removing: [inner]).isEmpty)
    #expect(blocks.change(adding: [], removing: [outer]) == [outer, inner].sorted())
    #expect(blocks.labels(inner)?.description == "cidr:10.1.0.0/16,reserved:world-ipv4")
    #expect(blocks.labels(outer) == nil)
    #expect(CIDR("0.0.0.0/0").flatMap { blocks[$0] } == ReservedIdentity.worldIPv4.identity)
  }
}

@Suite struct SelectorCacheTests {
  /// Registered selectors see every change, and only those that changed are named.
  @Test(arguments: 0..<20) func followsChanges(_ seed: UInt64) throws {
    var state = seed &* 7919 &+ 1
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let texts = [
      "app=a", "app in (a,b)", "app notin (a)", "tier", "!tier", "app=b,tier=1", "",
      "k8s:io.kubernetes.pod.namespace=n0",
      "io.kubernetes.pod.namespace=n1,app!=c", "app=a,app=b",
    ]
    var cache = SelectorCache()
    var known: [NumericIdentity: IdentityLabels] = [:]
    var ids: [(SelectorCache.ID, IdentitySelector)] = []
    for step in 0..<300 {
      if step % 30 == 0 {
        let selector = IdentitySelector(try LabelSelector(parsing: texts[step / 30]))
        ids.append((cache.register(selector), selector))
      }
      let identity = NumericIdentity(rawValue: UInt32(256 + random(30)))
      var pod: LabelSet = ["app": ["a", "b", "c"][random(3)]]
      if random(2) == 0 { pod["tier"] = "\(random(2))" }
      let labels = random(4) == 0 ? nil : IdentityLabels(podLabels: pod, namespace: "n\(random(2))")
      let before = ids.map { cache.matches($0.0) }
      let changed = cache.set(identity, labels)
      known[identity] = labels
      for (index, (id, selector)) in ids.enumerated() {
        let expected = Set(known.filter { selector.matches($0.value) }.keys)
        #expect(cache.matches(id) == expected)
        #expect(changed.contains(id) == (before[index] != expected))
        #expect(cache.select(selector) == expected)
      }
    }
    for (id, _) in ids { cache.unregister(id) }
    #expect(cache.selectorCount == 0)
    #expect(cache.set(NumericIdentity(rawValue: 256), IdentityLabels(podLabels: ["app": "a"], namespace: "n")).isEmpty)
  }

  @Test func equalSelectorsAreOne() throws {
    var cache = SelectorCache()
    let selector = IdentitySelector(try LabelSelector(parsing: "app=a"))
    let first = cache.register(selector)
    #expect(cache.register(selector) == first)
    cache.unregister(first)
    #expect(cache.selector(first) == selector)
    cache.unregister(first)
    #expect(cache.selector(first) == nil)
  }
}
