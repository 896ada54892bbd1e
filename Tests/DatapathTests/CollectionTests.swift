import BPF
import CMartletABI
import Glibc
import Testing

@testable import Datapath

@Suite struct CollectionTests {
  /// One line per look at the table: connections left, seconds since the look before -> seconds until the next.
  @Test(
    arguments: [
      ("at rest", [(100, 5.0, 5.0), (100, 5.0, 5.0), (50, 5.0, 5.0)]),
      ("slow growth", [(0, 5.0, 5.0), (50, 5.0, 5.0), (100, 5.0, 5.0)]),
      // 300 a second: 750 are reached in half a second; half of that is soon enough.
      ("a flood", [(0, 5.0, 5.0), (600, 2.0, 0.25), (660, 0.2, 0.2)]),
      ("half full", [(500, 5.0, 1.0), (500, 1.0, 1.0)]),
      ("nearly full", [(750, 5.0, 0.2), (990, 0.2, 0.2), (1000, 0.2, 0.2)]),
      ("empty again", [(1000, 5.0, 0.2), (10, 0.2, 5.0)]),
    ] as [(String, [(live: Int, elapsed: Double, expected: Double)])])
  func looksSoonerTheFasterItFills(_ name: String, _ looks: [(live: Int, elapsed: Double, expected: Double)]) {
    var schedule = CollectionSchedule()
    for look in looks {
      let pause = schedule.pause(live: look.live, capacity: 1000, elapsed: .seconds(look.elapsed), took: .zero)
      #expect(pause == .seconds(look.expected), "\(name): \(look)")
    }
  }

  @Test func collectingTakesATenthOfAProcessorAtMost() {
    var schedule = CollectionSchedule()
    #expect(schedule.pause(live: 990, capacity: 1000, elapsed: .seconds(1), took: .seconds(1)) == .seconds(10))
  }

  private func table(_ capacity: UInt32) throws -> ConnectionTable {
    ConnectionTable(map: try .create(.hash, name: "ct_test", maxEntries: capacity, flags: .noPreallocation))
  }

  private func fill(
    _ table: ConnectionTable, _ ports: Range<Int>, expiresIn: Int, age: UInt64 = 10, _ flags: martlet_ct_flags? = nil
  ) throws {
    let now = ConnectionTable.now()
    for port in ports {
      var key = martlet_ct_key()
      key.a = martlet_addr(hi: 1, lo: 1)
      key.b = martlet_addr(hi: 2, lo: UInt64(port))
      var entry = martlet_ct_entry()
      entry.expires = UInt32(Int(now) + expiresIn)
      entry.created_ns = (UInt64(now) - age) * 1_000_000_000
      entry.flags = flags.map { UInt32($0.rawValue) } ?? 0
      try table.map.update(key, entry)
    }
  }

  @Test(.enabled(if: geteuid() == 0, "needs root")) func expiredConnectionsGo() throws {
    let table = try table(100)
    try fill(table, 0..<40, expiresIn: -5)
    try fill(table, 40..<60, expiresIn: 60)
    #expect(try table.collectGarbage() == ConnectionCollection(live: 20, expired: 40, evicted: 0))
    #expect(try table.count() == 20)
  }

  /// What is established stays, whatever comes.
  @Test(.enabled(if: geteuid() == 0, "needs root")) func aFullTableGivesUpWhatNobodyAnswered() throws {
    let table = try table(100)
    try fill(table, 0..<50, expiresIn: 60, MARTLET_CT_SEEN_REPLY)
    try fill(table, 50..<90, expiresIn: 60)
    try fill(table, 90..<100, expiresIn: 60, age: 0)
    #expect(throws: BPFError.self) { try fill(table, 100..<101, expiresIn: 60) }
    #expect(try table.collectGarbage() == ConnectionCollection(live: 80, expired: 0, evicted: 20))
    try fill(table, 100..<110, expiresIn: 60)
    // The next one is below the watermark: nothing more is evicted.
    #expect(try table.collectGarbage() == ConnectionCollection(live: 90 - 10, expired: 0, evicted: 10))
    #expect(try table.collectGarbage() == ConnectionCollection(live: 80, expired: 0, evicted: 0))
    var established = 0
    try table.map.forEachEntry { if $1.flags == UInt32(MARTLET_CT_SEEN_REPLY.rawValue) { established += 1 } }
    #expect(established == 50)
  }

  @Test(.enabled(if: geteuid() == 0, "needs root")) func closedConnectionsMakeRoomToo() throws {
    let table = try table(100)
    try fill(table, 0..<50, expiresIn: 60, MARTLET_CT_SEEN_REPLY)
    try fill(table, 50..<100, expiresIn: 8, MARTLET_CT_RST)
    #expect(try table.collectGarbage() == ConnectionCollection(live: 80, expired: 0, evicted: 20))
  }

  @Test(.enabled(if: geteuid() == 0, "needs root")) func theRuleSetsOfConnectionsAreFound() throws {
    let table = try table(100)
    try fill(table, 0..<3, expiresIn: 60)
    for (key, var entry) in try table.map.entries() {
      entry.proxy_rules = 7
      entry.egress_proxy_rules = 8
      try table.map.update(key, entry)
    }
    #expect(try table.proxyRules() == [7, 8])
  }
}
