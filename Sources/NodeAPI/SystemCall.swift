import Glibc

/// The system calls of this module, repeated when a signal interrupts them.
enum SystemCall {
  /// POLLRDHUP of asm-generic/poll.h: the other end has finished sending, or is gone. glibc hides it behind a feature
  /// macro.
  static let pollRDHUP: Int16 = 0x2000

  /// A call's name and its errno.
  struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    let call: String
    let errno: Int32

    var description: String { "\(call): \(String(cString: strerror(errno)))" }
  }

  static func retrying<Result: SignedInteger>(_ call: String, _ body: () -> Result) throws(Failure) -> Result {
    while true {
      let result = body()
      if result != -1 { return result }
      guard errno == EINTR else { throw Failure(call: call, errno: errno) }
    }
  }

  /// Waits until one of `descriptors` has one of the events it asks for. `deadline` nil waits for ever. False when the
  /// time is over.
  static func poll(_ descriptors: inout [pollfd], until deadline: ContinuousClock.Instant?) throws(Failure) -> Bool {
    while true {
      var milliseconds: Int32 = -1
      if let deadline {
        let left = max(deadline - .now, .zero).components
        // Rounded up: the rest of a millisecond must not become a busy loop.
        milliseconds = Int32(
          clamping: left.seconds * 1000 + (left.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
      }
      let count = Glibc.poll(&descriptors, nfds_t(descriptors.count), milliseconds)
      if count > 0 { return true }
      if count == 0 { return false }
      guard errno == EINTR else { throw Failure(call: "poll", errno: errno) }
    }
  }
}

/// A descriptor that is closed with its last owner.
final class Descriptor: Sendable {
  let number: Int32

  init(_ number: Int32) { self.number = number }

  deinit { close(number) }
}

/// Wakes a thread that waits in poll(2).
struct WakeUp: Sendable {
  /// Readable after `send`, until `drain`.
  let receiver: Descriptor
  private let sender: Descriptor

  init() throws(SystemCall.Failure) {
    var numbers: (Int32, Int32) = (-1, -1)
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    _ = try SystemCall.retrying("socketpair") {
      withUnsafeMutablePointer(to: &numbers) {
        $0.withMemoryRebound(to: Int32.self, capacity: 2) { socketpair(AF_UNIX, kind, 0, $0) }
      }
    }
    receiver = Descriptor(numbers.0)
    sender = Descriptor(numbers.1)
  }

  /// A full buffer means that the thread has been told often enough.
  func send() {
    var byte: UInt8 = 0
    _ = Glibc.send(sender.number, &byte, 1, Int32(MSG_NOSIGNAL))
  }

  func drain() {
    var buffer = [UInt8](repeating: 0, count: 256)
    while recv(receiver.number, &buffer, buffer.count, 0) == buffer.count {}
  }
}
