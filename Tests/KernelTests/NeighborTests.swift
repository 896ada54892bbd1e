import CMartletABI
import Testing

@Suite(.enabled(if: isRoot, "needs root")) struct NeighborTests {
  func arp(
    _ operation: UInt16, from mac: [UInt8], _ sender: [UInt8], to target: [UInt8],
    targetMAC: [UInt8] = [0, 0, 0, 0, 0, 0],
    ethernet: [UInt8] = [255, 255, 255, 255, 255, 255]
  ) -> [UInt8] {
    ethernet + mac + be16(0x0806) + be16(1) + be16(0x0800) + [6, 4] + be16(operation) + mac + sender + targetMAC
      + target
  }

  @Test(arguments: [[169, 254, 1, 1], [10, 9, 0, 3], [198, 51, 100, 7]] as [[UInt8]]) func answersARP(
    _ target: [UInt8]
  ) throws {
    let node = try Node()
    let asked = arp(1, from: node.a.podMAC, [10, 9, 0, 1], to: target)
    let outcome = try node.run("from_container", asked)
    #expect(outcome.code == redirected && outcome.events.isEmpty)
    #expect(
      outcome.bytes
        == arp(2, from: node.a.hostMAC, target, to: [10, 9, 0, 1], targetMAC: node.a.podMAC, ethernet: node.a.podMAC))
  }

  @Test func staysSilentWhereARPIsNoQuestion() throws {
    let node = try Node()
    let mac = node.a.podMAC
    let silent = [
      arp(1, from: mac, [10, 9, 0, 1], to: [10, 9, 0, 1]),  // announcement
      arp(1, from: mac, [0, 0, 0, 0], to: [10, 9, 0, 1]),  // probe
      arp(1, from: mac, [10, 9, 0, 99], to: [169, 254, 1, 1]),  // somebody unknown
      arp(2, from: mac, [10, 9, 0, 1], to: [169, 254, 1, 1]),  // reply
      Array(arp(1, from: mac, [10, 9, 0, 1], to: [169, 254, 1, 1]).prefix(40)),
    ]
    for bytes in silent {
      let outcome = try node.run("from_container", bytes)
      #expect(outcome.code == shot && outcome.events.isEmpty)
    }
    #expect(try node.run("to_container", silent[0]).code == shot)
  }

  /// The probe of an entry that is about to grow old goes to the MAC that the pod knows, perhaps from its link-local address.
  @Test func answersProbesOfKnownNeighbors() throws {
    let node = try Node()
    let asked = arp(
      1, from: node.a.podMAC, [10, 9, 0, 99], to: [169, 254, 1, 1], ethernet: node.a.hostMAC)
    #expect(try Array(node.run("from_container", asked).bytes[22..<28]) == node.a.hostMAC)
    var solicitation = solicit(node, v6([0xfe, 0x80], 1))
    solicitation.source = v6([0xfe, 0x80], 0x77)
    #expect(try node.leaves(solicitation).code == shot)
    solicitation.destinationMAC = node.a.hostMAC
    let outcome = try node.leaves(solicitation)
    #expect(outcome.code == redirected && Array(outcome.bytes.suffix(6)) == node.a.hostMAC)
  }

  func solicit(_ node: Node, _ target: Address, options: [UInt8]? = nil) -> Frame {
    var frame = node.frame(
      .ipv6, from: node.a, to: v6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0], target[15]), 58,
      [135, 0, 0, 0, 0, 0, 0, 0] + target + (options ?? [1, 1] + node.a.podMAC))
    frame.destinationMAC = [0x33, 0x33, 0xff, 0, 0, target[15]]
    frame.hopLimit = 255
    return frame
  }

  @Test(
    arguments: [v6([0xfe, 0x80], 1), v6([0xfd, 0, 0, 9], 3)],
    [nil, [], [1, 1, 2, 0, 0, 0, 1, 2, 9, 1, 0, 0, 0, 0, 0, 0]] as [[UInt8]?])
  func answersSolicitations(_ target: Address, options: [UInt8]?) throws {
    let node = try Node()
    let outcome = try node.leaves(solicit(node, target, options: options))
    let flags: UInt8 = target[0] == 0xfe ? 0xe0 : 0x60
    var message: [UInt8] = [136, 0, 0, 0, flags, 0, 0, 0] + target + [2, 1] + node.a.hostMAC
    let pseudo = target + node.a.address(.ipv6) + be32(UInt32(message.count)) + be32(58)
    message.replaceSubrange(2..<4, with: be16(checksum(pseudo + message)))
    var expected = Frame(
      family: .ipv6, sourceMAC: node.a.hostMAC, destinationMAC: node.a.podMAC, source: target,
      destination: node.a.address(.ipv6), proto: 58, payload: message)
    expected.hopLimit = 255
    #expect(outcome.code == redirected && outcome.events.isEmpty)
    #expect(outcome.bytes == expected.bytes)
  }

  @Test func staysSilentWhereASolicitationIsNoQuestion() throws {
    let node = try Node()
    var duplicate = solicit(node, node.a.address(.ipv6))
    duplicate.source = Address(repeating: 0, count: 16)
    let own = solicit(node, node.a.address(.ipv6))
    for frame in [duplicate, own] {
      let outcome = try node.leaves(frame)
      #expect(outcome.code == shot && outcome.events.isEmpty)
    }
    var forwarded = solicit(node, v6([0xfe, 0x80], 1))
    forwarded.hopLimit = 254
    #expect(try node.leaves(forwarded).reason == 134)
    var group = solicit(node, v6([0xff, 2], 1))
    group.hopLimit = 255
    #expect(try node.leaves(group).reason == 134)
  }
}
