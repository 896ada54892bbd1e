import CLinux
import Glibc

/// One message as received (struct nlmsghdr and what follows it).
public struct NetlinkMessage: Sendable, Hashable {
  public let type: Int
  public let flags: Int
  public let sequence: UInt32
  public let payload: [UInt8]

  /// The messages of a datagram; nil when a length does not fit.
  static func parse(_ datagram: [UInt8]) -> [NetlinkMessage]? {
    var messages: [NetlinkMessage] = []
    var rest = datagram[...]
    let headerSize = MemoryLayout<nlmsghdr>.size
    while !rest.isEmpty {
      guard let header = rest.load(nlmsghdr.self), Int(header.nlmsg_len) >= headerSize,
        Int(header.nlmsg_len) <= rest.count
      else { return nil }
      let length = Int(header.nlmsg_len)
      messages.append(
        NetlinkMessage(
          type: Int(header.nlmsg_type), flags: Int(header.nlmsg_flags), sequence: header.nlmsg_seq,
          payload: Array(rest.dropFirst(headerSize).prefix(length - headerSize))))
      rest = rest.dropFirst(aligned(length))
    }
    return messages
  }

  /// The kernel's answer to a request that succeeded.
  static func acknowledgement(of request: [UInt8]) -> [UInt8] {
    let header = request.prefix(MemoryLayout<nlmsghdr>.size)
    let sequence = header[...].load(nlmsghdr.self)?.nlmsg_seq ?? 0
    let answer = nlmsghdr(
      nlmsg_len: 36, nlmsg_type: UInt16(NLMSG_ERROR), nlmsg_flags: 0, nlmsg_seq: sequence, nlmsg_pid: 0)
    return bytes(of: answer) + bytes(of: Int32(0)) + header
  }
}

/// A request before it has a sequence number.
struct NetlinkRequest: Sendable {
  /// For errors: the C name of the type and its subject.
  let name: String
  let type: Int
  /// Besides NLM_F_REQUEST.
  let flags: Int32
  var payload: AttributeWriter

  /// `header` is the family's fixed struct, such as ifinfomsg.
  init<Header: BitwiseCopyable>(_ name: String, _ type: Int, flags: Int32 = NLM_F_ACK, header: Header) {
    self.name = name
    self.type = type
    self.flags = flags
    payload = AttributeWriter(header: header)
  }

  func encoded(sequence: UInt32) -> [UInt8] {
    let header = nlmsghdr(
      nlmsg_len: UInt32(MemoryLayout<nlmsghdr>.size + payload.bytes.count), nlmsg_type: UInt16(type),
      nlmsg_flags: UInt16(NLM_F_REQUEST | flags), nlmsg_seq: sequence, nlmsg_pid: 0)
    return bytes(of: header) + payload.bytes
  }
}

/// Lengths are padded to 4 bytes (NLMSG_ALIGN, RTA_ALIGN).
func aligned(_ length: Int) -> Int { (length + 3) & ~3 }

func bytes<Value: BitwiseCopyable>(of value: Value) -> [UInt8] {
  withUnsafeBytes(of: value) { Array($0) }
}
