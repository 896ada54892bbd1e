import Addressing
import BPF
import CMartletABI
import KernelABI
import KubernetesAPI
import Services
import Testing

@testable import Datapath

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The kernel's own maps, made for the test: what is written is what is read back, and how long it takes.
@Suite(.enabled(if: getuid() == 0, "needs root"))
struct ServiceKernelTests {
  private func maps(slots: UInt32 = 1 << 20) throws -> ServiceMaps {
    let template = try RawMap.create(
      .array, name: "template", keySize: 4, valueSize: Int(MARTLET_MAGLEV_MAX) * 4, maxEntries: 1)
    return try ServiceMaps { name in
      func make<Key, Value>(_ key: Key.Type, _ value: Value.Type, _ type: MapType = .hash, _ size: UInt32 = 1 << 18)
        throws -> RawMap
      where Key: BitwiseCopyable & Sendable, Value: BitwiseCopyable & Sendable {
        try BPFMap<Key, Value>.create(
          type, name: name.rawValue, maxEntries: size, flags: type == .lruHash ? [] : .noPreallocation
        ).raw
      }
      return switch name {
      case .frontends: try make(martlet_frontend_key.self, martlet_frontend.self)
      case .services: try make(UInt32.self, martlet_service.self)
      case .serviceSlots: try make(martlet_slot_key.self, UInt32.self, .hash, slots)
      case .backends: try make(UInt32.self, martlet_backend.self)
      case .sourceRanges: try make(martlet_source_range_key.self, UInt8.self, .lpmTrie, 1024)
      case .affinity: try make(martlet_affinity_key.self, martlet_affinity.self, .lruHash, 1024)
      case .socketPeers: try make(martlet_socket_peer_key.self, martlet_socket_peer.self, .lruHash, 1024)
      default:
        try MapOfMaps<UInt32>.create(name: name.rawValue, maxEntries: 1024, template: template, flags: .noPreallocation)
          .raw
      }
    }
  }

  private func service(
    _ index: Int, backends: Int, algorithm: BalancingAlgorithm = .random, without gone: Int? = nil
  ) -> CompiledService {
    let name = ServiceName(namespace: "default", name: "s\(index)")
    let id = BalancerID(
      port: PortID(service: name, port: 80, protocol: .tcp), family: .ipv4, audience: .everyone)
    let key = FrontendKey(address: IPAddress(v4: 0x0A60_0000 + UInt32(index)), port: 80, protocol: .tcp)
    let members = (0..<backends).filter { $0 != gone }.map {
      Balancer.Member(
        backend: BackendAddress(address: IPAddress(v4: 0x0A00_0000 + UInt32(index * backends + $0)), port: 8080),
        isLocal: $0 == 0)
    }
    return CompiledService(
      name: name, frontends: [Frontend(key: key, kinds: .clusterIP, cluster: id, external: nil)],
      balancers: [
        id: Balancer(members: members, algorithm: algorithm, affinity: 7, sourceRanges: index == 1 ? [] : nil)
      ])
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let maps = try maps()
    let block = try #require(CIDR("2001:db8::/32"))
    var all = (0..<10).map { service($0, backends: 3, algorithm: $0 % 2 == 0 ? .maglev : .random) }
    let ranged = all[1].balancers.mapValues {
      Balancer(members: $0.members, keepsSource: true, drops: false, sourceRanges: [block])
    }
    all[1] = CompiledService(name: all[1].name, frontends: all[1].frontends, balancers: ranged)
    var reconciler = try ServiceReconciler(maps, maglevSize: 251)
    reconciler.start(with: Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) }), now: .now)
    #expect(reconciler.refusals.isEmpty)
    #expect(reconciler.held.used.maglev == 5)
    let usage = Dictionary(uniqueKeysWithValues: reconciler.usage.map { ($0.map, $0.entries) })
    #expect(usage["martlet_frontends"] == (try maps.frontends.count()))
    #expect(usage["martlet_services"] == (try maps.services.count()))
    #expect(usage["martlet_service_slots"] == (try maps.slots.count()))
    #expect(usage["martlet_backends"] == (try maps.backends.count()))
    #expect(usage["martlet_maglev"] == (try maps.maglev.entries().count))
    #expect(usage["martlet_source_ranges"] == (try maps.ranges.count()))
    #expect(try maps.store(maglevSize: 251).content() == reconciler.held)
    reconciler.apply(Dictionary(uniqueKeysWithValues: all.map { ($0.name, nil) }), now: .now)
    reconciler.collect(now: .now + .seconds(2))
    #expect(try maps.store(maglevSize: 251).content().used == ServiceMapsRoom())
  }

  @Test func aFullMapOfTheKernelIsTold() throws {
    let maps = try maps(slots: 40)
    var reconciler = try ServiceReconciler(maps, maglevSize: 251)
    let all = (0..<20).map { service($0, backends: 3) }
    reconciler.start(with: Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) }), now: .now)
    #expect(reconciler.refusals.count == 8)
    #expect(try maps.store(maglevSize: 251).content() == reconciler.held)
  }

  @Test func thousandsOfServices() throws {
    #if DEBUG
      let count = 1000
    #else
      let count = 10_000
    #endif
    let maps = try maps()
    let clock = ContinuousClock()
    let all = Dictionary(uniqueKeysWithValues: (0..<count).map { service($0, backends: 5) }.map { ($0.name, $0) })
    var reconciler = try ServiceReconciler(maps, maglevSize: 16381)
    let whole = clock.measure { reconciler.start(with: all, now: .now) }
    #expect(reconciler.refusals.isEmpty)
    var changes: [Duration] = []
    for round in 0..<200 {
      let changed = service(round * 37 % count, backends: 5, without: round % 5)
      changes.append(clock.measure { reconciler.apply([changed.name: changed], now: .now) })
    }
    changes.sort()
    let collected = clock.measure { reconciler.collect(now: .now + .seconds(2)) }
    var next: ServiceReconciler?
    let adopted = try clock.measure {
      next = try ServiceReconciler(maps, maglevSize: 16381)
      next?.start(with: all, now: .now)
    }
    print(
      """
      \(count) services x 5 backends: \(whole); one endpoint: median \(changes[100]), p99 \(changes[197]); \
      collecting: \(collected); a restart: \(adopted)
      """)
    // Of a build without optimization nothing can be said.
    #if !DEBUG
      #expect(changes[197] < .milliseconds(10))
      #expect(whole < .seconds(2))
    #endif
  }

  @Test func fiveThousandBackendsOfOneService() throws {
    let maps = try maps()
    let clock = ContinuousClock()
    var reconciler = try ServiceReconciler(maps, maglevSize: 16381)
    let first = service(0, backends: 5000)
    let whole = clock.measure { reconciler.apply([first.name: first], now: .now) }
    let changed = service(0, backends: 5000, without: 17)
    let change = clock.measure { reconciler.apply([changed.name: changed], now: .now) }
    let maglev = service(0, backends: 5000, algorithm: .maglev)
    let table = clock.measure { reconciler.apply([maglev.name: maglev], now: .now) }
    #expect(reconciler.refusals.isEmpty)
    print("5,000 backends: \(whole), one less: \(change), by Maglev: \(table)")
  }
}
