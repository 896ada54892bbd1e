import BPF
import CMartletABI
import Testing

/// MurmurHash3, x86, 32 bits, of a multiple of 4 octets.
private func murmur3(_ bytes: [UInt8], seed: UInt32) -> UInt32 {
  func rotate(_ word: UInt32, _ bits: UInt32) -> UInt32 { word << bits | word >> (32 - bits) }
  var hash = seed
  for index in stride(from: 0, to: bytes.count, by: 4) {
    let word = bytes[index..<index + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    hash ^= rotate(word &* 0xcc9e_2d51, 15) &* 0x1b87_3593
    hash = rotate(hash, 13) &* 5 &+ 0xe654_6b64
  }
  hash ^= UInt32(bytes.count)
  hash = (hash ^ hash >> 16) &* 0x85eb_ca6b
  hash = (hash ^ hash >> 13) &* 0xc2b2_ae35
  return hash ^ hash >> 16
}

/// Which backend a client's packet finds.
@Suite(.enabled(if: isRoot, "needs root")) struct SelectionTests {
  private let size: UInt32 = 251

  private func places(_ stage: Balancer) -> [Place] {
    (UInt8(1)...4).map { number in
      Place(address: stage.elsewhere.dropLast() + [number], port: 8080)
    }
  }

  /// The index of the backend that a new connection from `port` gets.
  private func choice(_ stage: Balancer, _ port: UInt16, by pod: Pod? = nil) throws -> Int? {
    let pod = pod ?? stage.node.a
    let outcome = try stage.node.leaves(stage.sent(by: pod, from: port, to: stage.vip, .tcp, TCPFlag.syn))
    return places(stage).firstIndex {
      stage.sent(by: pod, from: port, to: $0, .tcp, TCPFlag.syn).bytes == outcome.bytes
    }
  }

  /// Fills the service's table so that the entry at `index` is backend `index % 4`.
  private func maglev(_ stage: Balancer, affinity: UInt32 = 0) throws {
    stage.node.settings.maglev_size = size
    try stage.balance(Proto.tcp, to: places(stage), affinity: affinity, flags: MARTLET_SERVICE_MAGLEV.rawValue)
    let table = try RawMap.create(
      .array, name: "table", keySize: 4, valueSize: Int(MARTLET_MAGLEV_MAX) * 4, maxEntries: 1)
    let numbers = (0..<UInt32(MARTLET_MAGLEV_MAX)).map { $0 < size ? Balancer.number * 100 + 1 + $0 % 4 : 0 }
    try table.update([0, 0, 0, 0], numbers.withUnsafeBytes { Array($0) })
    try MapOfMaps<UInt32>(stage.node.loaded.map("martlet_maglev")).update(Balancer.number, table)
  }

  private func expected(_ stage: Balancer, _ port: UInt16, clientOnly: Bool = false) -> Int {
    let tuple =
      stage.node.a.address(stage.family) + stage.vip.address + be16(stage.vip.port)
      + (clientOnly ? [0, 0] : be16(port)) + [Proto.tcp, 0, 0, 0]
    return Int(murmur3(tuple, seed: 0x6d61_7274) % size % 4)
  }

  /// Any node that has the table chooses alike.
  @Test(arguments: Family.allCases) func maglevGoesByTheTuple(_ family: Family) throws {
    let stage = try Balancer(family)
    try maglev(stage)
    var chosen: Set<Int> = []
    for port in UInt16(4000)..<4032 {
      let choice = try choice(stage, port)
      #expect(choice == expected(stage, port))
      chosen.insert(choice ?? -1)
    }
    #expect(chosen.count == 4)
  }

  @Test(arguments: Family.allCases) func maglevWithAffinityGoesByTheClient(_ family: Family) throws {
    let stage = try Balancer(family)
    try maglev(stage, affinity: 600)
    for port in UInt16(4000)..<4008 { #expect(try choice(stage, port) == expected(stage, port, clientOnly: true)) }
  }

  @Test(arguments: Family.allCases) func chanceSpreads(_ family: Family) throws {
    let stage = try Balancer(family)
    try stage.balance(Proto.tcp, to: places(stage))
    let chosen = try (UInt16(4000)..<4040).map { try choice(stage, $0) }
    #expect(!chosen.contains(nil) && Set(chosen).count > 1)
  }

  @Test(arguments: Family.allCases) func affinityKeepsTheBackend(_ family: Family) throws {
    let stage = try Balancer(family)
    try stage.balance(Proto.tcp, to: places(stage), affinity: 600)
    let kept = try stage.node.loaded.map(
      "martlet_affinity", key: martlet_affinity_key.self, value: martlet_affinity.self)
    let first = try #require(try choice(stage, 4000))
    for port in UInt16(4001)..<4012 { #expect(try choice(stage, port) == first) }
    // Another client has one of its own.
    _ = try choice(stage, 4000, by: stage.node.b)
    #expect(try kept.entries().count == 2)
    // Its time is over: chance decides again.
    func expire() throws {
      for (key, value) in try kept.entries() {
        var value = value
        value.last_used = UInt32.max - 1_000_000
        try kept.update(key, value)
      }
    }
    let later = try (UInt16(5000)..<5040).map { port in
      try expire()
      return try choice(stage, port)
    }
    #expect(!later.contains(nil) && Set(later).count > 1)
    // The backend has gone.
    let gone = try #require(try choice(stage, 6000))
    try stage.backends.delete(Balancer.number * 100 + 1 + UInt32(gone))
    let left = places(stage).indices.filter { $0 != gone }
    try stage.service(11, Proto.tcp, left.map { places(stage)[$0] })
    try stage.services.update(
      Balancer.number, martlet_service(table: 11, count: 3, affinity: 600, flags: 0, listener: 0, pad: 0))
    let next = try #require(try choice(stage, 6001))
    #expect(next != gone)
    #expect(try choice(stage, 6002) == next)
  }
}
