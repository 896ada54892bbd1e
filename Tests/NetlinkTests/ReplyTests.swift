import Addressing
import CLinux
import Glibc
import Testing

@testable import Netlink

/// How replies are read: errors, the kernel's words, dumps in several parts, and those that are not ours.
@Suite struct ReplyTests {
  /// A message of which `length` is filled in.
  private func message(_ type: Int32, flags: Int32 = 0, sequence: UInt32, _ payload: [UInt8]) -> [UInt8] {
    let header = nlmsghdr(
      nlmsg_len: UInt32(16 + payload.count), nlmsg_type: UInt16(type), nlmsg_flags: UInt16(flags),
      nlmsg_seq: sequence, nlmsg_pid: 0)
    return bytes(of: header) + payload + [UInt8](repeating: 0, count: aligned(payload.count) - payload.count)
  }

  private func failure(_ errno: Int32, sequence: UInt32 = 1, flags: Int32 = 0, _ rest: [UInt8] = []) -> [UInt8] {
    let quoted = nlmsghdr(nlmsg_len: 32, nlmsg_type: 16, nlmsg_flags: 5, nlmsg_seq: sequence, nlmsg_pid: 0)
    let body = flags & NLM_F_CAPPED != 0 ? [] : [UInt8](repeating: 0, count: 16)
    return message(
      Int32(NLMSG_ERROR), flags: flags, sequence: sequence, bytes(of: -errno) + bytes(of: quoted) + body + rest)
  }

  private func link(_ index: Int32, _ name: String, sequence: UInt32, flags: Int32 = 0) -> [UInt8] {
    var header = ifinfomsg()
    header.ifi_index = index
    var payload = AttributeWriter(header: header)
    payload.add(IFLA_IFNAME, string: name)
    return message(Int32(RTM_NEWLINK), flags: NLM_F_MULTI | flags, sequence: sequence, payload.bytes)
  }

  private func done(sequence: UInt32, flags: Int32 = 0, code: Int32 = 0) -> [UInt8] {
    message(Int32(NLMSG_DONE), flags: NLM_F_MULTI | flags, sequence: sequence, bytes(of: code))
  }

  @Test(arguments: [Int32(0), NLM_F_CAPPED])
  func errorsCarryTheKernelsText(_ capped: Int32) throws {
    var attributes = AttributeWriter()
    attributes.add(Int(NLMSGERR_ATTR_OFFS.rawValue), number: UInt32(4))
    attributes.add(Int(NLMSGERR_ATTR_MSG.rawValue), string: "Device is busy being odd")
    let reply = failure(EBUSY, flags: NLM_F_ACK_TLVS | capped, attributes.bytes)
    let netlink = NetlinkHandle(transport: RecordingTransport(replies: [reply]))
    let error = try #require(throws: NetlinkError.self) { try netlink.setInterface(index: 3, up: true) }
    #expect(error == NetlinkError(request: "RTM_NEWLINK 3 up", errno: EBUSY, kernelText: "Device is busy being odd"))
    #expect(error.description == "RTM_NEWLINK 3 up failed: EBUSY (Device is busy being odd)")
  }

  @Test func errorsWithoutTextAreErrors() throws {
    let netlink = NetlinkHandle(transport: RecordingTransport(replies: [failure(EPERM)]))
    let error = try #require(throws: NetlinkError.self) { try netlink.setInterface(index: 3, up: true) }
    #expect(error.errno == EPERM && error.kernelText == nil)
  }

  @Test func dumpsComeInParts() throws {
    let transport = RecordingTransport(replies: [
      link(1, "lo", sequence: 1) + link(2, "a", sequence: 1), link(3, "b", sequence: 1), done(sequence: 1),
    ])
    #expect(try NetlinkHandle(transport: transport).interfaces().map(\.name) == ["lo", "a", "b"])
    #expect(transport.sent.count == 1)
  }

  @Test func disturbedDumpsAreAskedForAgain() throws {
    let transport = RecordingTransport(replies: [
      link(1, "lo", sequence: 1) + link(2, "old", sequence: 1, flags: NLM_F_DUMP_INTR), done(sequence: 1),
      link(1, "lo", sequence: 2), done(sequence: 2, flags: NLM_F_DUMP_INTR),
      link(1, "lo", sequence: 3) + link(2, "new", sequence: 3), done(sequence: 3),
    ])
    #expect(try NetlinkHandle(transport: transport).interfaces().map(\.name) == ["lo", "new"])
    #expect(transport.sent.count == 3)
  }

  @Test func dumpsMayEndInAnError() throws {
    let netlink = NetlinkHandle(
      transport: RecordingTransport(replies: [link(1, "lo", sequence: 1), done(sequence: 1, code: -EMSGSIZE)]))
    #expect(try #require(throws: NetlinkError.self) { try netlink.interfaces() }.errno == EMSGSIZE)
  }

  @Test func repliesToOtherRequestsAreSkipped() throws {
    let transport = RecordingTransport(replies: [
      link(9, "stale", sequence: 77) + done(sequence: 77), failure(EPERM, sequence: 0),
      link(1, "lo", sequence: 1), done(sequence: 1),
    ])
    #expect(try NetlinkHandle(transport: transport).interfaces().map(\.name) == ["lo"])
  }

  @Test func sequenceNumbersRise() throws {
    let transport = RecordingTransport()
    let netlink = NetlinkHandle(transport: transport)
    for _ in 0..<3 { try netlink.setInterface(index: 1, up: true) }
    #expect(transport.sent.map { $0[8] } == [1, 2, 3])
  }

  @Test(arguments: [ENODEV, ESRCH, ENOENT, EADDRNOTAVAIL])
  func whatIsAbsentIsDeletedAlready(_ errno: Int32) throws {
    let netlink = NetlinkHandle(transport: RecordingTransport(replies: [failure(errno)]))
    #expect(try !netlink.deleteInterface(index: 4))
  }

  @Test(arguments: [
    [], [1, 2, 3], [UInt8](repeating: 0, count: 16), [255, 255, 0, 0] + [UInt8](repeating: 0, count: 12),
  ])
  func nonsenseIsRefused(_ datagram: [UInt8]) throws {
    let netlink = NetlinkHandle(transport: RecordingTransport(replies: [datagram]))
    #expect(try #require(throws: NetlinkError.self) { try netlink.interfaces() }.errno == EBADMSG)
  }

  @Test func attributesWithBadLengthsEndTheList() {
    var writer = AttributeWriter()
    writer.add(1, string: "kept")
    let attributes = Attributes((writer.bytes + [200, 0, 2, 0, 1])[...])
    #expect(attributes.string(1) == "kept")
    #expect(attributes[2] == nil)
    #expect(attributes.number(1, UInt64.self) == nil)
  }
}
