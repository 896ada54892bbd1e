import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One end of the stream between two proxies. Messages are whole whatever threads send them.
final class HandoverLink: Sendable {
  let fd: Int32

  /// How long a message may wait for a peer that does not read.
  private static let patience = timeval(tv_sec: 1, tv_usec: 0)

  struct Received {
    let message: HandoverMessage
    /// The receiver's to close.
    let descriptors: [Int32]
  }

  /// Takes over a connected socket that blocks.
  init(adopting fd: Int32) {
    self.fd = fd
    var limit = HandoverLink.patience
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(fd) }

  /// A stream to the proxy that waits at `path`; nil when nobody does.
  static func connect(to path: String) throws(HandoverError) -> HandoverLink? {
    let fd = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw .system(SocketError("socket", errno: errno)) }
    let link = HandoverLink(adopting: fd)
    let result = clinux_connect_unix(fd, path)
    switch -result {
    case 0: return link
    case ENOENT, ECONNREFUSED: return nil
    case let number: throw .system(SocketError("connect to \(path)", errno: number))
    }
  }

  /// The process at the other end; nil when it is another user's.
  var peer: pid_t? {
    var user: uid_t = 0
    var process: pid_t = 0
    return clinux_peer(fd, &user, &process) == 0 && user == geteuid() ? process : nil
  }

  func send(_ message: HandoverMessage, _ descriptors: [Int32] = []) throws(HandoverError) {
    let octets = message.octets
    let result = clinux_send_descriptors(fd, octets, octets.count, descriptors, Int32(descriptors.count))
    switch -result {
    case 0: return
    case EPIPE, ECONNRESET: throw .ended
    case let number: throw .system(SocketError("handover", errno: number))
    }
  }

  /// The next message, with exactly as many descriptors as `count` says of it.
  /// - Parameter limit: nil: as long as it takes.
  func receive(
    _ expected: String, within limit: Duration? = nil, count: (HandoverMessage) -> Int = { _ in 0 }
  ) throws(HandoverError) -> Received {
    if let limit, !isReadable(within: limit) { throw .silent(waitingFor: expected) }
    var octets = [UInt8](repeating: 0, count: HandoverMessage.size)
    var descriptors = [Int32](repeating: -1, count: Int(CLINUX_MAX_DESCRIPTORS))
    var received: Int32 = 0
    let size = clinux_receive_descriptors(fd, &octets, octets.count, &descriptors, &received)
    if size == 0 || size == -Int(ECONNRESET) { throw .ended }
    if size == -Int(EMSGSIZE) || size == -Int(EBADMSG) { throw .unexpected(waitingFor: expected) }
    guard size > 0 else { throw .system(SocketError("handover", errno: Int32(-size))) }
    let found = Array(descriptors[..<Int(received)])
    guard let message = HandoverMessage(octets[..<size]), found.count == count(message) else {
      for descriptor in found { close(descriptor) }
      throw .unexpected(waitingFor: expected)
    }
    return Received(message: message, descriptors: found)
  }

  private func isReadable(within limit: Duration) -> Bool {
    let deadline = ContinuousClock.now + limit
    while true {
      let rest = (deadline - .now).nanoseconds / 1_000_000
      var polled = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
      let result = poll(&polled, 1, Int32(clamping: rest))
      if result > 0 { return true }
      if result == 0 || errno != EINTR { return false }
    }
  }
}
