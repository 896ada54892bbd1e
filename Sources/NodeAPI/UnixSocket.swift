import CLinux
import Glibc

/// A stream socket of the Unix domain, non-blocking underneath, so that every wait has a deadline.
struct UnixSocket: Sendable {
  let descriptor: Descriptor

  static func make() throws(SystemCall.Failure) -> UnixSocket {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    return UnixSocket(descriptor: Descriptor(try SystemCall.retrying("socket") { socket(AF_UNIX, kind, 0) }))
  }

  static func connect(to path: String) throws(SystemCall.Failure) -> UnixSocket {
    let socket = try make()
    let result = clinux_connect_unix(socket.descriptor.number, path)
    guard result == 0 else { throw SystemCall.Failure(call: "connect", errno: -result) }
    return socket
  }

  func bind(to path: String) throws(SystemCall.Failure) {
    let result = clinux_bind_unix(descriptor.number, path)
    guard result == 0 else { throw SystemCall.Failure(call: "bind", errno: -result) }
  }

  /// The next connection; -1 with errno set where there is none.
  static func accept(_ listener: UnixSocket) -> Int32 {
    let number = Glibc.accept(listener.descriptor.number, nil, nil)
    if number >= 0 {
      _ = fcntl(number, F_SETFD, FD_CLOEXEC)
      _ = fcntl(number, F_SETFL, O_NONBLOCK)
    }
    return number
  }

  /// Sends all of `bytes`.
  func write(_ bytes: [UInt8], until deadline: ContinuousClock.Instant) throws(SystemCall.Failure) {
    var sent = 0
    while sent < bytes.count {
      do throws(SystemCall.Failure) {
        sent += try SystemCall.retrying("send") {
          bytes.withUnsafeBytes {
            Glibc.send(descriptor.number, $0.baseAddress.map { $0 + sent }, $0.count - sent, Int32(MSG_NOSIGNAL))
          }
        }
      } catch  where error.errno == EAGAIN {
        try wait(for: POLLOUT, until: deadline)
      }
    }
  }

  /// Some bytes, at most `count`; none at the end of the stream.
  func read(upTo count: Int, until deadline: ContinuousClock.Instant?) throws(SystemCall.Failure) -> [UInt8] {
    while true {
      var failure: SystemCall.Failure?
      let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        do throws(SystemCall.Failure) {
          initialized = try SystemCall.retrying("recv") { recv(descriptor.number, buffer.baseAddress, count, 0) }
        } catch {
          failure = error
        }
      }
      guard let failure else { return bytes }
      guard failure.errno == EAGAIN else { throw failure }
      try wait(for: POLLIN, until: deadline)
    }
  }

  private func wait(for event: Int32, until deadline: ContinuousClock.Instant?) throws(SystemCall.Failure) {
    var descriptors = [pollfd(fd: descriptor.number, events: Int16(event), revents: 0)]
    guard try SystemCall.poll(&descriptors, until: deadline) else {
      throw SystemCall.Failure(call: "poll", errno: ETIMEDOUT)
    }
  }
}
