import CLinux
import Glibc
import Synchronization

/// The kernel's network configuration (rtnetlink(7)) of one network namespace. Calls are synchronous and short; the kernel answers
/// before the next request is sent.
///
/// ```swift
/// let netlink = try NetlinkHandle()
/// try netlink.createVeth(VethSpecification(name: "host0", peerName: "eth0", peerNamespace: pod))
/// ```
public final class NetlinkHandle: Sendable {
  private let transport: any NetlinkTransport
  /// The last sequence number; held while a request is in flight, so that replies do not mix.
  private let sequence = Mutex<UInt32>(0)

  /// A handle on the calling thread's namespace.
  public convenience init() throws(NetlinkError) {
    self.init(transport: try NetlinkSocket())
  }

  /// A handle on another namespace; the calling thread stays where it is.
  public convenience init(in namespace: NetworkNamespace) throws {
    self.init(transport: try namespace.run { try NetlinkSocket() })
  }

  public init(transport: any NetlinkTransport) {
    self.transport = transport
  }
}

extension NetlinkHandle {
  /// Sends a request and waits for its acknowledgement; what comes before that is returned.
  @discardableResult
  func perform(_ request: NetlinkRequest) throws(NetlinkError) -> [NetlinkMessage] {
    try sequence.withLock { sequence throws(NetlinkError) in
      sequence &+= 1
      try transport.send(request.encoded(sequence: sequence))
      var replies: [NetlinkMessage] = []
      while true {
        for message in try receive(request.name) where message.sequence == sequence {
          if message.type == Int(NLMSG_ERROR) {
            try message.throwIfError(request.name)
            return replies
          }
          replies.append(message)
        }
      }
    }
  }

  /// Performs a deletion; false when there was nothing to delete.
  func remove(_ request: NetlinkRequest) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      try perform(request)
      return true
    } catch  where error.isAbsent {
      return false
    }
  }

  /// Asks for one object, which the kernel sends in place of an acknowledgement.
  func get(_ request: NetlinkRequest) throws(NetlinkError) -> NetlinkMessage? {
    do throws(NetlinkError) { return try perform(request).first } catch  where error.isAbsent { return nil }
  }

  /// Asks for all objects. A dump that the kernel marks as disturbed by a change is asked for again.
  func dump(_ request: NetlinkRequest) throws(NetlinkError) -> [NetlinkMessage] {
    for _ in 0..<16 {
      if let complete = try dumpOnce(request) { return complete }
    }
    throw NetlinkError(request: request.name, errno: EINTR, kernelText: "the dump kept changing under the reader")
  }

  /// nil when NLM_F_DUMP_INTR was seen.
  private func dumpOnce(_ request: NetlinkRequest) throws(NetlinkError) -> [NetlinkMessage]? {
    try sequence.withLock { sequence throws(NetlinkError) in
      sequence &+= 1
      try transport.send(request.encoded(sequence: sequence))
      var found: [NetlinkMessage] = []
      var isDisturbed = false
      while true {
        for message in try receive(request.name) where message.sequence == sequence {
          if message.flags & Int(NLM_F_DUMP_INTR) != 0 { isDisturbed = true }
          switch message.type {
          case Int(NLMSG_DONE), Int(NLMSG_ERROR):
            try message.throwIfError(request.name)
            return isDisturbed ? nil : found
          default:
            found.append(message)
          }
        }
      }
    }
  }

  /// The messages of one datagram. Those with another sequence number answer a request that was given up: callers skip them.
  private func receive(_ name: String) throws(NetlinkError) -> [NetlinkMessage] {
    let datagram: [UInt8]
    do throws(NetlinkError) { datagram = try transport.receive() } catch {
      throw NetlinkError(request: name, errno: error.errno, kernelText: "\(error.request) failed")
    }
    guard let messages = NetlinkMessage.parse(datagram), !messages.isEmpty else {
      throw NetlinkError(request: name, errno: EBADMSG, kernelText: "a reply whose lengths do not fit")
    }
    return messages
  }
}

extension NetlinkMessage {
  /// NLMSG_ERROR and NLMSG_DONE begin with a negative errno or 0; the extended acknowledgement follows.
  fileprivate func throwIfError(_ request: String) throws(NetlinkError) {
    guard let code = payload[...].load(Int32.self) else {
      // An old kernel's NLMSG_DONE.
      if type == Int(NLMSG_DONE) { return }
      throw NetlinkError(request: request, errno: EBADMSG)
    }
    if code == 0 { return }
    throw NetlinkError(request: request, errno: -code, kernelText: kernelText)
  }

  private var kernelText: String? {
    // struct nlmsghdr says whether there are attributes (NLM_F_ACK_TLVS) and whether the request is quoted
    // in full or by its header only (NLM_F_CAPPED).
    guard flags & Int(NLM_F_ACK_TLVS) != 0 else { return nil }
    var start = MemoryLayout<Int32>.size
    if type == Int(NLMSG_ERROR) {
      guard let quoted = payload.dropFirst(start).load(nlmsghdr.self) else { return nil }
      start += flags & Int(NLM_F_CAPPED) != 0 ? MemoryLayout<nlmsghdr>.size : aligned(Int(quoted.nlmsg_len))
    }
    return Attributes(payload.dropFirst(start)).string(Int(NLMSGERR_ATTR_MSG.rawValue))
  }
}
