import Addressing
import BPF
import CMartletABI
import Glibc
import KernelABI
import Testing

@testable import Datapath

@Suite(.enabled(if: geteuid() == 0, "needs root")) struct NATTableTests {
  private let server: ConnectionEnd
  private let backend: ConnectionEnd
  private let node: IPAddress

  init() throws {
    server = ConnectionEnd(try #require(IPAddress("192.0.2.10")), port: 80)
    backend = ConnectionEnd(try #require(IPAddress("198.51.100.7")), port: 8080)
    node = try #require(IPAddress("192.0.2.1"))
  }

  /// Lifetimes as they are by default; 100 ports.
  private func table(_ capacity: UInt32) throws -> NATTable {
    let configuration = try BPFMap<UInt32, martlet_config>.create(.array, name: "config_test", maxEntries: 1)
    var settings = DatapathSettings()
    settings.natPorts = 10000...10099
    try configuration.update(0, settings.entry(after: nil))
    return NATTable(
      map: try .create(.hash, name: "nat_test", maxEntries: capacity, flags: .noPreallocation),
      configuration: configuration)
  }

  /// What a client from outside and the node's stack make of one connection to a backend elsewhere.
  private struct Connection {
    var client: Int
    var ipProtocol: UInt8 = 6
    /// Since when there was no packet either way, in seconds.
    var idleThere = 0
    var idleBack = 0
    var age: UInt32 = 1000
    var flags: [martlet_nat_flags] = [MARTLET_NAT_SEEN_REPLY]
    var backend: Int = 0
  }

  private func client(_ number: Int) -> ConnectionEnd {
    ConnectionEnd(IPAddress(v4: 0xCB00_7100 + UInt32(number / 60000)), port: UInt16(number % 60000 + 1))
  }

  private func there(_ connection: Connection) -> PacketTuple {
    PacketTuple(source: client(connection.client), destination: server, ipProtocol: connection.ipProtocol)
  }

  private func add(_ connection: Connection, to table: NATTable, onlyThere: Bool = false) throws {
    let now = ConnectionTable.now()
    var target = backend
    target.port += UInt16(connection.backend)
    let on = PacketTuple(
      source: ConnectionEnd(node, port: UInt16(10000 + connection.client % 100)), destination: target,
      ipProtocol: connection.ipProtocol)
    let flags = connection.flags.reduce(MARTLET_NAT_SOURCE.rawValue) { $0 | $1.rawValue }
    func lifetime() -> Int {
      let isOver = connection.flags.contains { $0 == MARTLET_NAT_RST }
      let isAnswered = connection.flags.contains { $0 == MARTLET_NAT_SEEN_REPLY }
      if connection.ipProtocol != 6 { return isAnswered ? 180 : 60 }
      return isOver ? 10 : isAnswered ? 8000 : 60
    }
    func entry(_ to: PacketTuple, _ more: UInt32, idle: Int) -> martlet_nat_entry {
      martlet_nat_entry(
        source: martlet_addr(to.source.address), destination: martlet_addr(to.destination.address),
        source_port: to.source.port.bigEndian, destination_port: to.destination.port.bigEndian,
        expires: UInt32(Int(now) + lifetime() - idle), flags: flags | more, service: 3, backend: 9,
        created: now - connection.age)
    }
    let from = there(connection)
    try table.map.update(from.key, entry(on, 0, idle: connection.idleThere))
    if onlyThere { return }
    try table.map.update(
      on.reversed.key, entry(from.reversed, MARTLET_NAT_REPLY.rawValue, idle: connection.idleBack))
  }

  private func clients(_ table: NATTable) throws -> Set<Int> {
    Set(try table.translations().map { Int($0.source.port) - 1 })
  }

  @Test func aPairGoesWhenBothHaveExpired() throws {
    let table = try table(1000)
    try add(Connection(client: 1, idleThere: 8001, idleBack: 8001), to: table)
    try add(Connection(client: 2, idleThere: 8001, idleBack: 5), to: table)
    try add(Connection(client: 3, idleThere: 5, idleBack: 8001), to: table)
    try add(Connection(client: 4, idleThere: 8001), to: table, onlyThere: true)
    try add(Connection(client: 5), to: table, onlyThere: true)
    try add(Connection(client: 6, idleThere: 20, idleBack: 20, flags: [MARTLET_NAT_RST]), to: table)
    #expect(try table.collectGarbage() == TranslationCollection(live: 5, expired: 3))
    #expect(try clients(table) == [2, 3, 5])
  }

  /// Of two connections that had the same source port one after the other, the later one has the way back.
  @Test func aWayBackThatIsAnothersStays() throws {
    let table = try table(1000)
    try add(Connection(client: 101, idleThere: 8001, idleBack: 8001), to: table)
    try add(Connection(client: 201), to: table)
    #expect(try table.collectGarbage() == TranslationCollection(live: 2, expired: 1))
    let left = try table.translations()
    #expect(left.map(\.source.port) == [202] && left.allSatisfy { !$0.isIncomplete })
  }

  @Test func aNearlyFullMapGivesUpWhatNobodyAnsweredThenTheLongestIdle() throws {
    let table = try table(100)
    // 41 connections: of 82 entries 12 are too many, and what goes are pairs.
    for client in 0..<3 { try add(Connection(client: client, idleThere: 10, flags: [], backend: client), to: table) }
    for client in 3..<13 {
      try add(Connection(client: client, idleThere: 60 + client, idleBack: 60 + client, backend: client), to: table)
    }
    for client in 13..<41 {
      try add(Connection(client: client, idleThere: 500, idleBack: client, backend: client), to: table)
    }
    #expect(try table.collectGarbage() == TranslationCollection(live: 70, evicted: 6, ports: 1))
    #expect(try clients(table) == Set(3..<41).subtracting([10, 11, 12]))
    #expect(try table.collectGarbage() == TranslationCollection(live: 70))
  }

  /// A flood does not end what is in use, and what is new is not given up at once.
  @Test func whatIsInUseStays() throws {
    let table = try table(100)
    for client in 0..<30 { try add(Connection(client: client, idleThere: 59, backend: client), to: table) }
    for client in 30..<50 { try add(Connection(client: client, age: 0, flags: [], backend: client), to: table) }
    #expect(try table.collectGarbage() == TranslationCollection(live: 100, ports: 1))
  }

  @Test func nearlyTakenPortsTowardsOneBackendAreFreed() throws {
    let table = try table(10000)
    for client in 0..<85 {
      try add(Connection(client: client, ipProtocol: 17, idleThere: 61 + client, idleBack: 61 + client), to: table)
    }
    // The same ports towards another backend, of which there are enough.
    for client in 100..<150 {
      try add(Connection(client: client, ipProtocol: 17, idleThere: 160, idleBack: 160, backend: 1), to: table)
    }
    #expect(try table.collectGarbage() == TranslationCollection(live: 2 * 120, evicted: 15, ports: 85))
    #expect(try clients(table) == Set(0..<70).union(100..<150))
  }

  @Test func aConnectionIsListedOnce() throws {
    let table = try table(100)
    try add(Connection(client: 7, age: 30), to: table)
    let found = try #require(try table.translations().first)
    #expect(try table.translations().count == 1)
    #expect(found.source == client(7) && found.destination == server)
    #expect(found.translatedSource == ConnectionEnd(node, port: 10007) && found.translatedDestination == backend)
    #expect(found.service == 3 && found.backend == 9 && found.seenReply && !found.isIncomplete && !found.isHairpin)
    #expect((7998...8000).contains(found.secondsLeft) && (30...31).contains(found.age))
  }

  /// A way back alone tells as much as the pair.
  @Test func aWayBackWithoutAWayThereIsListedToo() throws {
    let table = try table(100)
    try add(Connection(client: 7), to: table)
    try table.map.delete(there(Connection(client: 7)).key)
    let found = try table.translations()
    #expect(found.map(\.source) == [client(7)] && found.map(\.translatedDestination) == [backend])
    #expect(found.map(\.isIncomplete) == [true])
  }

  @Test func whatIsAtAnAddressThatHasGoneGoes() throws {
    let table = try table(100)
    try add(Connection(client: 1), to: table)
    try add(Connection(client: 60001, backend: 3), to: table)
    try table.remove(addresses: [client(60001).address])
    #expect(try table.translations().map(\.source) == [client(1)])
    try table.remove(addresses: [backend.address])
    #expect(try table.count() == 0)
  }
}
