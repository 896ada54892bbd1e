import CMartletABI
import Testing

/// A packet that leaves pod a and is refused before any policy is asked.
struct DropCase: Sendable, CustomTestStringConvertible {
  var testDescription: String
  var reason: UInt32
  var families = Family.allCases
  var isQuiet = false
  /// Author of the verdict, for a packet that policy let pass before it was refused.
  var rule: UInt32 = 0
  /// Changes a UDP packet from a to b.
  var change: @Sendable (inout Frame) -> Void = { _ in }
  /// Changes what is on the wire.
  var mangle: @Sendable (inout [UInt8]) -> Void = { _ in }

  static let all: [DropCase] = [
    .init(testDescription: "foreign MAC", reason: 130, change: { $0.sourceMAC[5] = 9 }),
    .init(testDescription: "to a MAC that is not the node's", reason: 131, change: { $0.destinationMAC[5] = 9 }),
    .init(
      testDescription: "address of no pod", reason: 132,
      change: { $0.source = $0.family == .ipv4 ? v4(10, 9, 0, 99) : v6([0xfd, 0, 0, 9], 99) }),
    .init(
      testDescription: "address of a pod on another device", reason: 132,
      change: { $0.source = $0.family == .ipv4 ? v4(10, 9, 0, 3) : v6([0xfd, 0, 0, 9], 3) }),
    .init(testDescription: "address of its neighbour", reason: 130, change: { $0.source = $0.destination }),
    .init(
      testDescription: "multicast", reason: 151,
      change: { $0.destination = $0.family == .ipv4 ? v4(224, 0, 0, 251) : v6([0xff, 2], 0xfb) }),
    .init(testDescription: "longer than the packet", reason: 134, mangle: { $0.removeLast(3) }),
    .init(testDescription: "wrong version", reason: 134, mangle: { $0[14] = 0x50 | $0[14] & 0xf }),
    .init(testDescription: "IPv4 header of 16 octets", reason: 134, families: [.ipv4], mangle: { $0[14] = 0x44 }),
    .init(
      testDescription: "IPv4-mapped address on the wire", reason: 134, families: [.ipv6],
      change: { $0.source = v4(10, 9, 0, 1) }),
    .init(
      testDescription: "UDP header cut short", reason: 135, change: { $0.payload.removeLast($0.payload.count - 7) }),
    .init(
      testDescription: "TCP header cut short", reason: 135,
      change: { ($0.proto, $0.payload) = (Proto.tcp, Array(tcp(1, 2, 2).dropLast())) }),
    .init(
      testDescription: "TCP data offset of 4", reason: 135,
      change: {
        ($0.proto, $0.payload) = (Proto.tcp, tcp(1, 2, TCPFlag.syn))
        $0.payload[12] = 0x40
      }),
    .init(
      testDescription: "TCP options beyond the segment", reason: 135,
      change: {
        ($0.proto, $0.payload) = (Proto.tcp, tcp(1, 2, TCPFlag.syn))
        $0.payload[12] = 0xf0
      }),
    .init(
      testDescription: "SYN and FIN", reason: 135,
      change: { ($0.proto, $0.payload) = (Proto.tcp, tcp(1, 2, TCPFlag.syn | TCPFlag.fin)) }),
    .init(
      testDescription: "an answer to no SYN", reason: 135,
      change: { ($0.proto, $0.payload) = (Proto.tcp, tcp(1, 2, TCPFlag.syn | TCPFlag.ack)) }),
    .init(
      testDescription: "a reset of nothing", reason: 135, isQuiet: true,
      change: { ($0.proto, $0.payload) = (Proto.tcp, tcp(1, 2, TCPFlag.rst)) }),
    .init(
      testDescription: "ICMP cut short", reason: 135,
      change: { ($0.proto, $0.payload) = ($0.family.icmp, [$0.family.echoRequest, 0, 0, 0]) }),
    .init(testDescription: "unknown transport", reason: 137, change: { $0.proto = 47 }),
    .init(
      testDescription: "the other family's ICMP", reason: 137,
      change: { $0.proto = $0.family == .ipv4 ? 58 : 1 }),
    .init(
      testDescription: "a route with segments left", reason: 156, families: [.ipv6],
      change: { ($0.firstExtension, $0.options) = (43, [17, 0, 0, 1, 0, 0, 0, 0]) }),
    .init(
      testDescription: "an extension beyond the packet", reason: 135, families: [.ipv6],
      change: { ($0.firstExtension, $0.options) = (60, [17, 9, 0, 0, 0, 0, 0, 0]) }),
    .init(
      testDescription: "eight extensions", reason: 156, families: [.ipv6],
      change: {
        ($0.firstExtension, $0.options) = (60, (0..<8).flatMap { _ in [60, 0, 1, 4, 0, 0, 0, 0] as [UInt8] })
      }),
    .init(
      testDescription: "a fragment without the first", reason: 175,
      change: { ($0.fragmentOffset, $0.payload) = (1480, [UInt8](repeating: 1, count: 64)) }),
    .init(
      testDescription: "a fragment over the TCP flags", reason: 134,
      change: { ($0.proto, $0.fragmentOffset, $0.payload) = (Proto.tcp, 8, [UInt8](repeating: 1, count: 64)) }),
    .init(
      testDescription: "a router advertisement", reason: 176, families: [.ipv6],
      change: { ($0.proto, $0.payload) = (58, icmp(134, data: [UInt8](repeating: 0, count: 8))) }),
    .init(
      testDescription: "a neighbour advertisement", reason: 176, families: [.ipv6],
      change: { ($0.proto, $0.payload) = (58, icmp(136, data: [UInt8](repeating: 0, count: 16))) }),
    .init(
      testDescription: "a redirect", reason: 176, families: [.ipv6],
      change: { ($0.proto, $0.payload) = (58, icmp(137, data: [UInt8](repeating: 0, count: 32))) }),
    .init(
      testDescription: "a router solicitation", reason: 176, families: [.ipv6], isQuiet: true,
      change: { ($0.proto, $0.payload, $0.source) = (58, icmp(133), v6([0xfe, 0x80], 5)) }),
    .init(
      testDescription: "a listener report", reason: 176, families: [.ipv6], isQuiet: true,
      change: {
        ($0.proto, $0.payload, $0.source) = (58, icmp(143), v6([0xfe, 0x80], 5))
        ($0.firstExtension, $0.options) = (0, [58, 0, 5, 2, 0, 0, 1, 0])
      }),
    .init(
      testDescription: "no Ethernet II", reason: 166, families: [.ipv4],
      mangle: { $0.replaceSubrange(12..<14, with: [0, 60]) }),
    .init(
      testDescription: "another protocol over Ethernet", reason: 139, families: [.ipv4],
      mangle: { $0.replaceSubrange(12..<14, with: [0x88, 0xcc]) }),
  ]
}

@Suite(.enabled(if: isRoot, "needs root")) struct DropTests {
  @Test(arguments: DropCase.all, Family.allCases) func drops(_ scenario: DropCase, _ family: Family) throws {
    guard scenario.families.contains(family) else { return }
    let node = try Node()
    var frame = node.frame(family, from: node.a, to: node.b, Proto.udp, udp(4000, 53))
    scenario.change(&frame)
    var bytes = frame.bytes
    scenario.mangle(&bytes)
    let outcome = try node.run("from_container", bytes)
    #expect(outcome.code == shot)
    #expect(try node.counted(scenario.reason, .egress) == 1)
    #expect(outcome.events.count == (scenario.isQuiet ? 0 : 1))
    if let event = outcome.events.first {
      #expect(UInt32(event.reason) == scenario.reason)
      #expect(event.rule == scenario.rule && event.ifindex == 1 && Int(event.length) == bytes.count)
      #expect(withUnsafeBytes(of: event.source_mac) { Array($0) } == frame.sourceMAC)
      #expect(withUnsafeBytes(of: event.destination_mac) { Array($0) } == frame.destinationMAC)
    }
  }

  @Test(arguments: Family.allCases) func brokenPacketsFromTheStack(_ family: Family) throws {
    let node = try Node()
    let world = family == .ipv4 ? v4(198, 51, 100, 7) : v6([0x20, 1, 0xd, 0xb8], 7)
    let elsewhere = try node.arrives(node.frame(family, from: world, to: node.c, Proto.udp, udp(1, 2)))
    #expect(elsewhere.reason == 152)
    // A pod's address, but not from the pod: nothing on the node would send this.
    let spoofed = try node.arrives(
      node.frame(family, from: node.a.address(family), to: node.b, Proto.udp, udp(1, 2)))
    #expect(spoofed.reason == 132)
    var group = node.frame(family, from: world, to: node.b, Proto.udp, udp(1, 2))
    group.destination = family == .ipv4 ? v4(224, 0, 0, 1) : v6([0xff, 2], 1)
    let quiet = try node.arrives(group)
    #expect(quiet.code == shot && quiet.events.isEmpty)
    #expect(try node.counted(152, .ingress) == 2)
  }

  @Test func aFullRingIsCounted() throws {
    let node = try Node(ringBytes: 4096)
    try node.rules(Peer.b, [])
    let frame = node.frame(.ipv4, from: node.a, to: node.b, Proto.udp, udp(4000, 53)).bytes
    let program = try node.loaded.program("from_container")
    _ = try program.testRun(data: frame, repeating: 1000)
    var got: UInt64 = 0
    node.ring.consume { _ in got += 1 }
    #expect(got > 0 && got < 1000)
    #expect(try got + node.lostEvents == 1000)
    #expect(try node.counted(133, .ingress) == 1000)
  }
}
