import CLinux
import Glibc

/// A netlink socket of the network namespace in which it was opened.
public final class NetlinkSocket: NetlinkTransport {
  private let descriptor: Int32

  /// Opens the socket in the calling thread's namespace. The kernel answers within a system call, so a reply that takes
  /// longer than `timeout` seconds means a fault. `family` is a NETLINK_… of linux/netlink.h.
  public init(family: Int32 = NETLINK_ROUTE, timeout: Int = 10) throws(NetlinkError) {
    let descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), family)
    if descriptor < 0 { throw .last("socket(AF_NETLINK, \(family))") }
    self.descriptor = descriptor

    // Both are absent on old kernels, which then explain less and filter less; neither changes what is correct.
    for option in [CLINUX_NETLINK_EXT_ACK, CLINUX_NETLINK_GET_STRICT_CHK] {
      var one: Int32 = 1
      setsockopt(descriptor, Int32(CLINUX_SOL_NETLINK), Int32(option), &one, socklen_t(MemoryLayout<Int32>.size))
    }
    var limit = timeval(tv_sec: timeout, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    // Long dumps outgrow the default.
    var room: Int32 = 1 << 20
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit { close(descriptor) }

  public func send(_ datagram: [UInt8]) throws(NetlinkError) {
    while Glibc.send(descriptor, datagram, datagram.count, 0) < 0 {
      if errno != EINTR { throw .last("send") }
    }
  }

  public func receive() throws(NetlinkError) -> [UInt8] {
    // The kernel fills at most 32 KiB of a dump at a time.
    let capacity = 1 << 16
    while true {
      let (count, datagram, number) = withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { buffer in
        let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_TRUNC))
        return (count, [UInt8](buffer.prefix(max(0, min(count, capacity)))), errno)
      }
      if count > capacity { throw NetlinkError(request: "recv", errno: EMSGSIZE) }
      if count >= 0 { return datagram }
      if number == EAGAIN { throw NetlinkError(request: "recv", errno: ETIMEDOUT) }
      if number != EINTR { throw NetlinkError(request: "recv", errno: number) }
    }
  }
}
