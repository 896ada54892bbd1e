import Addressing
import JSON
import KubernetesAPI
import Services
import Testing

@testable import Datapath

/// A small prime: what is random here is not the tables.
private let maglevSize = 31

/// Random Services and EndpointSlices, changed at random: whatever came before, the maps are as if compiled from nothing.
struct ServicePropertyTests {
  /// Without optimization fewer, for the sake of those who wait for a processor at the same time.
  #if DEBUG
    private static let seeds = 0..<3
    private static let steps = 40
  #else
    private static let seeds = 0..<32
    private static let steps = 100
  #endif

  @Test(arguments: seeds)
  func anySequenceIsLikeCompilingFromNothing(seed: Int) async throws {
    var random = Random(seed: UInt64(seed))
    var world = World()
    var reconciler = try ServiceReconciler(store: ServiceModel(), maglevSize: maglevSize)
    var now = ContinuousClock.now
    reconciler.start(with: [:], now: now)
    for step in 0..<Self.steps {
      await Task.yield()
      for _ in 0...Int.random(in: 0..<3, using: &random) { world.change(&random) }
      let before = try model(reconciler)
      let changes = world.book.takeChanges()
      reconciler.apply(changes, now: now)
      try check(before, reconciler, world, "seed \(seed), step \(step)")
      try die(before, reconciler, world, &random, now, "seed \(seed), step \(step)")
      now += .milliseconds(Int.random(in: 0..<700, using: &random))
      let applied = try model(reconciler).reach
      reconciler.collect(now: now)
      #expect(try model(reconciler).reach == applied, "seed \(seed), step \(step): collecting is not seen")
    }
    reconciler.collect(now: now + .seconds(2))
    #expect(try model(reconciler).content().used == fromNothing(world).content().used, "seed \(seed): nothing is left")
  }

  private func model(_ reconciler: ServiceReconciler) throws -> ServiceModel {
    try #require(reconciler.store as? ServiceModel)
  }

  private func fromNothing(_ world: World) throws -> ServiceModel {
    var fresh = try ServiceReconciler(store: ServiceModel(), maglevSize: maglevSize)
    fresh.start(with: world.all, now: .now)
    return try model(fresh)
  }

  /// The maps are as they should be, and at no moment was anything but as before or as now.
  private func check(
    _ before: ServiceModel, _ reconciler: ServiceReconciler, _ world: World, _ comment: Comment
  ) throws {
    let after = try model(reconciler)
    #expect(reconciler.refusals.isEmpty, comment)
    #expect(try after.reach == fromNothing(world).reach, comment)
    var replayed = before
    for entry in after.log.dropFirst(before.log.count) {
      replayed.apply(entry)
      // Only what has an entry for it can have changed.
      guard isRead(entry) else { continue }
      if let mix = replayed.mix(of: before, and: after) {
        Issue.record("\(comment): \(mix) is a mix after \(entry)")
        return
      }
    }
  }

  private func isRead(_ entry: ServiceModel.Entry) -> Bool {
    switch entry {
    case .slot: false
    default: true
    }
  }

  /// The process dies somewhere in the middle, and another one goes on.
  private func die(
    _ before: ServiceModel, _ reconciler: ServiceReconciler, _ world: World, _ random: inout Random,
    _ now: ContinuousClock.Instant, _ comment: Comment
  ) throws {
    let entries = try model(reconciler).log.dropFirst(before.log.count)
    var left = before
    for entry in entries.prefix(Int.random(in: 0...entries.count, using: &random)) { left.apply(entry) }
    left.log = []
    var next = try ServiceReconciler(store: left, maglevSize: maglevSize)
    next.start(with: world.all, now: now)
    try check(left, next, world, comment)
    next.collect(now: now + .seconds(1))
    let (recovered, fresh) = try (model(next), fromNothing(world))
    #expect(recovered.reach == fresh.reach, comment)
    #expect(recovered.content().used == fresh.content().used, comment)
  }
}

/// A cluster in which anything may happen to a few Services.
private struct World {
  var book = ServiceBook(node: NodeFacts(name: "a", zone: "z1"), settings: settings)

  static var settings: ServiceSettings {
    var settings = ServiceSettings()
    settings.maglevSize = maglevSize
    return settings
  }

  var all: [ServiceName: CompiledService] {
    book.names.reduce(into: [:]) { $0[$1] = book.compiled($1) }
  }

  mutating func change(_ random: inout Random) {
    let service = "s\(Int.random(in: 0..<5, using: &random))"
    switch Int.random(in: 0..<10, using: &random) {
    case 0: book.apply(ReflectorDelta<Service>.deleted(key("Service", service)))
    case 1...3: book.apply(.applied(self.service(service, &random)))
    case 4:
      book.apply(
        ReflectorDelta<EndpointSlice>.deleted(
          key("EndpointSlice", "\(service)-\(Int.random(in: 0..<3, using: &random))")))
    case 5:
      book.set(NodeFacts(name: pick(["a", "b"], &random), zone: pick(["z1", "z2", nil], &random)))
    default: book.apply(.applied(slice(service, &random)))
    }
  }

  private func key(_ kind: String, _ name: String) -> ObjectKey {
    ObjectKey(kind: kind, namespace: "default", name: name)
  }

  private func pick<Element>(_ elements: [Element], _ random: inout Random) -> Element {
    elements[Int.random(in: 0..<elements.count, using: &random)]
  }

  private func service(_ name: String, _ random: inout Random) -> Service {
    let index = Int(name.dropFirst()) ?? 0
    var ports: [String] = []
    for (name, transport, port) in [("a", "TCP", 80), ("b", "UDP", 80), ("c", "TCP", 443)]
    where Bool.random(using: &random) {
      let nodePort = pick([0, 30000 + index * 10 + port % 7], &random)
      ports.append(#"{"name":"\#(name)","protocol":"\#(transport)","port":\#(port),"nodePort":\#(nodePort)}"#)
    }
    let algorithm = pick(["maglev", "random", nil], &random)
    let annotation = algorithm.map { #""service.martlet.io/lb-algorithm":"\#($0)""# } ?? ""
    let ranges = pick(["", "", #""192.0.2.0/24""#, #""192.0.2.0/24","2001:db8::/32","10.0.0.0/8""#], &random)
    let second = pick(["", ",\"fd00::\(index + 1)\""], &random)
    let external = pick(["", #""198.51.100.1""#, #""198.51.100.1","198.51.100.2""#], &random)
    let ingress = pick(["", #"{"ip":"203.0.113.1"}"#], &random)
    return value(
      """
      {"metadata":{"name":"\(name)","namespace":"default","creationTimestamp":"2026-01-0\(index + 1)T00:00:00Z",
       "annotations":{\(annotation)}},
       "spec":{"type":"\(pick(["ClusterIP", "NodePort", "LoadBalancer"], &random))",
       "clusterIPs":["10.96.0.\(index + 1)"\(second)],"ports":[\(ports.joined(separator: ","))],
       "externalIPs":[\(external)],"internalTrafficPolicy":"\(pick(["Cluster", "Cluster", "Local"], &random))",
       "externalTrafficPolicy":"\(pick(["Cluster", "Local"], &random))",
       "sessionAffinity":"\(pick(["None", "ClientIP"], &random))","loadBalancerSourceRanges":[\(ranges)]},
       "status":{"loadBalancer":{"ingress":[\(ingress)]}}}
      """, Service.init)
  }

  private func slice(_ service: String, _ random: inout Random) -> EndpointSlice {
    let family = pick(["IPv4", "IPv4", "IPv6"], &random)
    var endpoints: [String] = []
    for number in 1...Int.random(in: 1...6, using: &random) where Bool.random(using: &random) {
      let ready = Bool.random(using: &random)
      let serving = ready || Bool.random(using: &random)
      let terminating = !ready && Bool.random(using: &random)
      let hints = pick(["", #"{"name":"z1"}"#, #"{"name":"z2"}"#], &random)
      endpoints.append(
        """
        {"addresses":["\(family == "IPv4" ? "10.0.0." : "fd01::")\(number)"],"nodeName":"\(pick(["a", "b"], &random))",
         "conditions":{"ready":\(ready),"serving":\(serving),"terminating":\(terminating)},
         "hints":{"forZones":[\(hints)]}}
        """)
    }
    let weight = pick([nil, nil, nil, "0", "10", "50"], &random)
    let annotation = weight.map { #""service.martlet.io/weight":"\#($0)""# } ?? ""
    return value(
      """
      {"metadata":{"name":"\(service)-\(Int.random(in: 0..<3, using: &random))","namespace":"default",
       "labels":{"kubernetes.io/service-name":"\(service)"},"annotations":{\(annotation)}},
       "addressType":"\(family)","endpoints":[\(endpoints.joined(separator: ","))],
       "ports":[{"name":"a","protocol":"TCP","port":8080},{"name":"b","protocol":"UDP","port":8080},
       {"name":"c","protocol":"TCP","port":\(pick([8443, 8444], &random))}]}
      """, EndpointSlice.init)
  }

  private func value<Value>(_ text: String, _ make: (JSONValue) throws -> Value) -> Value {
    do { return try make(JSONValue(parsing: text)) } catch { fatalError("\(error) in \(text)") }
  }
}

/// SplitMix64 (Steele et al., OOPSLA 2014).
private struct Random: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
