import Addressing
import BPF
import CMartletABI
import Glibc
import Identity
import Logging
import Policy
import Testing

@testable import Datapath

/// The kernel's tables at their limits, by the types that write them.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct FullTableTests {
  /// A datapath of its own that is attached to nothing; its pins are gone afterwards.
  private func withDatapath(_ sizes: [SizedMap: UInt32], _ body: (Datapath) throws -> Void) throws {
    let name = "martlet-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    let pins = DatapathPins(root: "/sys/fs/bpf/\(name)")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    defer { try? pins.removeAll() }
    try body(try Datapath(pins: pins, sizes: MapSizes(sizes), logger: logger))
  }

  private func block(_ number: Int, _ length: Int = 32) throws -> CIDR {
    try #require(CIDR(IPAddress(v4: 0x0A00_0000 + UInt32(number)), length: length))
  }

  private func state(_ entries: Int, peer: UInt32 = 1000) -> PolicyMapState {
    Dictionary(
      uniqueKeysWithValues: (0..<entries).map {
        (
          PolicyKey(
            peer: NumericIdentity(rawValue: peer + UInt32($0)), direction: .ingress, prefixLength: PolicyKey.peerPrefix),
          PolicyEntry(verdict: .allow, rule: 16)
        )
      })
  }

  @Test func aPolicyTooLargeLeavesTheOldOneToItsCaller() throws {
    try withDatapath([.policyEntries: 4]) { datapath in
      let identity = NumericIdentity(rawValue: 70000)
      try datapath.policy.replace(identity, with: state(4))
      let error = #expect(throws: PolicyTables.TooLarge.self) {
        try datapath.policy.replace(identity, with: state(5))
      }
      #expect(error?.description == "the policy of identity 70000 has 5 entries, its map holds 4")
      #expect(try datapath.policy.state(identity)?.count == 4)
    }
  }

  @Test func moreIdentitiesThanFit() throws {
    try withDatapath([.policies: 2]) { datapath in
      #expect(datapath.policy.capacity == 2)
      for number: UInt32 in 1...2 { try datapath.policy.replace(NumericIdentity(rawValue: number), with: state(1)) }
      let error = #expect(throws: BPFError.self) {
        try datapath.policy.replace(NumericIdentity(rawValue: 3), with: state(1))
      }
      #expect(error?.errno == E2BIG)
      // What is there can still be changed, and room made.
      try datapath.policy.replace(NumericIdentity(rawValue: 1), with: state(2))
      try datapath.policy.remove(NumericIdentity(rawValue: 2))
      try datapath.policy.replace(NumericIdentity(rawValue: 3), with: state(1))
      let usage = try datapath.mapUsage().first { $0.map == "martlet_policy" }
      #expect(usage == MapUsage(map: "martlet_policy", entries: 2, capacity: 2) && usage?.isNearlyFull == true)
    }
  }

  @Test func endpointsMakeRoomBeforeTheyTakeIt() throws {
    try withDatapath([.endpoints: 2]) { datapath in
      func endpoint(_ number: UInt32) throws -> DatapathEndpoint {
        let mac = try #require(MACAddress("02:00:00:00:00:01"))
        return DatapathEndpoint(
          id: number, addresses: [IPAddress(v4: number)], interfaceIndex: 1, identity: NumericIdentity(rawValue: 1),
          podMAC: mac, hostMAC: mac)
      }
      try datapath.endpoints.reconcile([endpoint(1), endpoint(2)])
      #expect(throws: BPFError.self) { try datapath.endpoints.set(endpoint(3)) }
      try datapath.endpoints.reconcile([endpoint(3), endpoint(4)])
      #expect(try datapath.endpoints.entries().map(\.id) == [3, 4])
    }
  }

  @Test func theIPCacheTakesWhatFits() throws {
    try withDatapath([.ipcache: 8]) { datapath in
      var desired = [try block(1): ReservedIdentity.host.identity]
      for number in 10..<40 { desired[try block(number)] = NumericIdentity(rawValue: UInt32(1 << 24) + UInt32(number)) }
      desired[try block(0, 8)] = NumericIdentity(rawValue: 1 << 24)
      let (held, missing) = IPCache.selection(of: desired, capacity: datapath.ipcache.capacity)
      #expect(held.count == 7 && missing.count == desired.count - 7)
      // The node's own address and the wider block first.
      #expect(try held[block(1)] != nil)
      #expect(try held[block(0, 8)] != nil)
      #expect(try datapath.ipcache.reconcile(held).isEmpty)
      #expect(try datapath.ipcache.count() == 7)
      // Another seven in their place, though there is no room for both; then a change of each in a full map.
      var others: [CIDR: NumericIdentity] = [:]
      for number in 50..<57 { others[try block(number)] = NumericIdentity(rawValue: 7) }
      #expect(try datapath.ipcache.reconcile(others).isEmpty)
      others = others.mapValues { _ in NumericIdentity(rawValue: 8) }
      #expect(try datapath.ipcache.reconcile(others).isEmpty)
      #expect(try datapath.ipcache.entries().allSatisfy { $0.identity.rawValue == 8 })
      // A kernel that refuses is told of, block by block.
      for number in 60..<63 { others[try block(number)] = NumericIdentity(rawValue: 9) }
      #expect(try datapath.ipcache.reconcile(others).count == 2)
    }
  }

  @Test func otherSizesReplaceThePins() throws {
    let pins = DatapathPins(root: "/sys/fs/bpf/martlet-test-\(getpid())-sizes")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    defer { try? pins.removeAll() }
    let first = try Datapath(pins: pins, sizes: MapSizes([.connections: 64]), logger: logger)
    #expect(first.connections.capacity == 64 && !first.adopted)
    #expect(try Datapath(pins: pins, sizes: MapSizes([.connections: 64]), logger: logger).adopted)
    let other = try Datapath(pins: pins, sizes: MapSizes([.connections: 128]), logger: logger)
    #expect(other.connections.capacity == 128 && !other.adopted)
  }
}
