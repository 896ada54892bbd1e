import Addressing
import KubernetesAPI
import Services
import Testing

@testable import Datapath

struct ServiceReconcilerTests {
  private let start = ContinuousClock.now

  private func compiled(
    _ name: String, address: UInt8 = 1, backends: [UInt8], draining: [UInt8] = [],
    algorithm: BalancingAlgorithm = .random, ranges: [CIDR]? = nil
  ) -> CompiledService {
    let service = ServiceName(namespace: "default", name: name)
    let port = PortID(service: service, port: 80, protocol: .tcp)
    let id = BalancerID(port: port, family: .ipv4, audience: .everyone)
    let key = FrontendKey(address: IPAddress(v4: 0x0A60_0000 + UInt32(address)), port: 80, protocol: .tcp)
    let members = backends.map {
      Balancer.Member(
        backend: BackendAddress(address: IPAddress(v4: 0x0A00_0000 + UInt32($0)), port: 8080), isLocal: false)
    }
    return CompiledService(
      name: service, frontends: [Frontend(key: key, kinds: .clusterIP, cluster: id, external: nil)],
      balancers: [id: Balancer(members: members, algorithm: algorithm, sourceRanges: ranges)],
      endpoints: [port: (backends + draining).map { ServiceEndpoint(backend: backend($0)) }])
  }

  private func backend(_ number: UInt8) -> BackendAddress {
    BackendAddress(address: IPAddress(v4: 0x0A00_0000 + UInt32(number)), port: 8080)
  }

  private func reconciler(_ model: ServiceModel = ServiceModel()) throws -> ServiceReconciler {
    try ServiceReconciler(store: model, maglevSize: 251)
  }

  private func model(_ reconciler: ServiceReconciler) throws -> ServiceModel {
    try #require(reconciler.store as? ServiceModel)
  }

  private func apply(_ reconciler: inout ServiceReconciler, _ services: CompiledService..., after: Duration = .zero) {
    reconciler.apply(
      Dictionary(uniqueKeysWithValues: services.map { ($0.name, Optional($0)) }), now: start + after)
  }

  @Test func backendsThenTableThenServiceThenFrontend() throws {
    var reconciler = try reconciler()
    apply(&reconciler, compiled("web", backends: [1, 2]))
    let kinds = try model(reconciler).log.map { entry in
      switch entry {
      case .backend: "backend"
      case .slot: "slot"
      case .service: "service"
      case .frontend: "frontend"
      case .maglev: "maglev"
      case .range: "range"
      }
    }
    #expect(kinds == ["backend", "backend", "slot", "slot", "service", "frontend"])
  }

  @Test func aChangeIsANewTableAndOneSwitch() throws {
    var reconciler = try reconciler()
    apply(&reconciler, compiled("web", backends: [1, 2]))
    let written = try model(reconciler).log.count
    apply(&reconciler, compiled("web", backends: [2, 3]))
    let log = try model(reconciler).log.dropFirst(written)
    #expect(log.count == 4)
    guard case .service(_, let entry?) = log.last else {
      Issue.record("the last write is \(String(describing: log.last))")
      return
    }
    #expect(entry.count == 2)
    // What was there goes a second later.
    #expect(try model(reconciler).slots.count == 4)
    reconciler.collect(now: start + .milliseconds(900))
    #expect(try model(reconciler).slots.count == 4)
    reconciler.collect(now: start + .seconds(1))
    #expect(try model(reconciler).slots.count == 2)
    #expect(try model(reconciler).backends.count == 2)
    #expect(reconciler.nextDue == nil)
  }

  @Test func nothingChangedIsNothingWritten() throws {
    var reconciler = try reconciler()
    let service = compiled("web", backends: [1, 2], algorithm: .maglev)
    apply(&reconciler, service)
    let written = try model(reconciler).log.count
    apply(&reconciler, service)
    #expect(try model(reconciler).log.count == written)
    // Nor after a restart, which finds the numbers again.
    var next = try self.reconciler(model(reconciler))
    next.start(with: [service.name: service], now: start)
    #expect(try model(next).log.count == written)
    #expect(next.nextDue == nil)
  }

  @Test func aFlappingBackendKeepsItsNumber() throws {
    var reconciler = try reconciler()
    apply(&reconciler, compiled("web", backends: [1, 2]))
    let before = try model(reconciler).backends
    for flap in 0..<50 {
      apply(&reconciler, compiled("web", backends: flap % 2 == 0 ? [1] : [1, 2]), after: .milliseconds(20 * flap))
      reconciler.collect(now: start + .milliseconds(20 * flap))
    }
    #expect(try model(reconciler).backends == before)
    reconciler.collect(now: start + .seconds(5))
    #expect(try model(reconciler).backends == before)
    #expect(try model(reconciler).slots.count == 2)
  }

  /// Whose sockets are to be ended is told when the endpoint is gone, not when it only gets no new connections.
  @Test func backendsThatAreGoneAreToldTwice() throws {
    var reconciler = try reconciler()
    apply(&reconciler, compiled("web", backends: [1, 2]))
    let service = ServiceName(namespace: "default", name: "web")
    let port = PortID(service: service, port: 80, protocol: .tcp)
    let number = try #require(reconciler.number(backend(2), of: port))
    apply(&reconciler, compiled("web", backends: [1], draining: [2]))
    reconciler.collect(now: start + .seconds(1))
    #expect(reconciler.takeGone().isEmpty)
    #expect(try model(reconciler).backends.count == 1)
    #expect(reconciler.number(backend(2), of: port) == number)
    apply(&reconciler, compiled("web", backends: [1]), after: .seconds(2))
    #expect(reconciler.takeGone() == [number])
    apply(&reconciler, compiled("web", backends: [1], algorithm: .maglev), after: .seconds(2))
    #expect(reconciler.takeGone().isEmpty)
    reconciler.collect(now: start + .seconds(3))
    #expect(reconciler.takeGone() == [number])
    #expect(reconciler.number(backend(2), of: port) == nil)
    reconciler.apply([service: nil], now: start + .seconds(4))
    #expect(reconciler.takeGone().count == 1)
  }

  /// What gets no new connections is in no map: after a restart only its clients' sockets know its number.
  @Test func numbersThatOnlySocketsKnowAreAdopted() throws {
    let service = ServiceName(namespace: "default", name: "web")
    let port = PortID(service: service, port: 80, protocol: .tcp)
    var first = try reconciler()
    apply(&first, compiled("web", backends: [1, 2, 3, 4]), compiled("old", address: 2, backends: [9]))
    let number = try #require(first.number(BalancerID(port: port, family: .ipv4, audience: .everyone)))
    let numbers = try [UInt8(1), 2, 3, 4].map { try #require(first.number(backend($0), of: port)) }
    let old = ServiceName(namespace: "default", name: "old")
    let oldPort = PortID(service: old, port: 80, protocol: .tcp)
    let strayNumber = try #require(first.number(backend(9), of: oldPort))
    let strayService = try #require(first.number(BalancerID(port: oldPort, family: .ipv4, audience: .everyone)))
    apply(&first, compiled("web", backends: [1, 4], draining: [2, 3]))
    first.collect(now: start + .seconds(2))
    #expect(try model(first).backends[numbers[1]] == nil)
    // Meanwhile the endpoints 3 and 4 go, and so does the Service `old`.
    let clients = Set(
      (0..<4).map { BackendClient(service: number, backend: numbers[$0], address: backend(UInt8($0 + 1))) }
        + [BackendClient(service: strayService, backend: strayNumber, address: backend(9))])
    var next = try reconciler(model(first))
    next.start(
      with: [service: compiled("web", backends: [1], draining: [2])], clients: clients, now: start + .seconds(3))
    #expect(next.takeGone() == [numbers[2], numbers[3], strayNumber])
    #expect(next.number(backend(2), of: port) == numbers[1])
    next.collect(now: start + .seconds(5))
    #expect(next.takeGone().isSuperset(of: [numbers[3], strayNumber]))
    apply(&next, compiled("web", backends: [1]), after: .seconds(6))
    #expect(next.takeGone() == [numbers[1]])
  }

  @Test func otherRangesAreAnotherService() throws {
    var reconciler = try reconciler()
    let blocks = try ["192.0.2.0/24", "198.51.100.0/24"].map { try #require(CIDR($0)) }
    apply(&reconciler, compiled("web", backends: [1], ranges: blocks))
    let first = try #require(model(reconciler).services.keys.first)
    apply(&reconciler, compiled("web", backends: [1], ranges: [blocks[0]]))
    #expect(try model(reconciler).services.count == 2)
    #expect(try model(reconciler).frontends.values.first?.service != first)
    reconciler.collect(now: start + .seconds(1))
    #expect(try model(reconciler).services.count == 1)
    #expect(try model(reconciler).ranges.values.first == [blocks[0]])
  }

  @Test func aFullMapLeavesWhatWasThere() throws {
    var model = ServiceModel()
    model.room.slots = 6
    var reconciler = try reconciler(model)
    let web = compiled("web", backends: [1, 2, 3])
    apply(&reconciler, web)
    let before = try self.model(reconciler).reach
    // A second service finds no room; nothing of it is written.
    let other = compiled("other", address: 2, backends: [4, 5, 6, 7])
    apply(&reconciler, other)
    #expect(reconciler.refusals == [other.name: "martlet_service_slots is full: it holds 6 entries"])
    #expect(try self.model(reconciler).reach == before)
    #expect(try self.model(reconciler).backends.count == 3)
    // Neither does the change of one that is there.
    apply(&reconciler, compiled("web", backends: [1, 2, 3, 4]))
    #expect(reconciler.refusals.count == 2)
    #expect(try self.model(reconciler).reach == before)
    // A smaller one does, and then there is room for the other.
    apply(&reconciler, compiled("web", backends: [1]))
    #expect(reconciler.refusals.count == 1)
    reconciler.collect(now: start + .seconds(1))
    #expect(reconciler.refusals.isEmpty)
    #expect(try self.model(reconciler).reach.count == 2)
  }

  @Test func whatIsThereCanStillChangeWhenNothingNewFits() throws {
    var model = ServiceModel()
    model.room.backends = 64
    model.room.slots = 64
    var reconciler = try reconciler(model)
    for index in 0..<64 { apply(&reconciler, compiled("s\(index)", address: UInt8(index), backends: [UInt8(index)])) }
    #expect(reconciler.refusals.count == 4)
    apply(&reconciler, compiled("s0", address: 0, backends: [200]))
    #expect(reconciler.refusals.count == 4)
  }

  /// Whichever write is the one that the kernel refuses: no client meets half a service, and another attempt completes it.
  @Test(arguments: [BalancingAlgorithm.random, .maglev])
  func aRefusedWriteLeavesNothingHalf(algorithm: BalancingAlgorithm) throws {
    let blocks = try [#require(CIDR("192.0.2.0/24"))]
    for count in 0..<14 {
      var reconciler = try reconciler()
      apply(&reconciler, compiled("web", backends: [1, 2], algorithm: algorithm))
      var model = try self.model(reconciler)
      let old = model.reach
      let written = model.log.count
      model.writesUntilRefusal = count
      reconciler.store = model
      let changed = compiled("web", backends: [2, 3, 4], algorithm: algorithm, ranges: blocks)
      apply(&reconciler, changed)
      let wasRefused = !reconciler.refusals.isEmpty
      model = try self.model(reconciler)
      #expect(wasRefused == (model.writesUntilRefusal == nil))
      model.writesUntilRefusal = nil
      if wasRefused { #expect(model.reach == old) }
      #expect(model.log.count >= written)
      reconciler.store = model
      reconciler.collect(now: start + .seconds(2))
      reconciler.retry(now: start + .seconds(2))
      reconciler.collect(now: start + .seconds(4))
      var fresh = try self.reconciler()
      apply(&fresh, changed)
      #expect(try self.model(reconciler).reach == self.model(fresh).reach, "refused after \(count) writes")
      #expect(try self.model(reconciler).content().used == self.model(fresh).content().used)
    }
  }
}
