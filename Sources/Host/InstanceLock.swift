import Files
import NodeAPI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Keeps two `martlet up` from sharing a state directory. The kernel lets go of the lock when the process ends, however it
/// does.
final class InstanceLock: Sendable {
  private let descriptor: Int32

  init(_ directory: StateDirectory) throws(HostError) {
    descriptor = open(directory.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw HostError("can not open \(directory.lock): \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      var digits = [UInt8](repeating: 0, count: 16)
      let count = read(descriptor, &digits, digits.count)
      close(descriptor)
      let holder = count > 1 ? " (pid \(String(decoding: digits[..<(count - 1)], as: UTF8.self)))" : ""
      throw HostError(
        "another `martlet up`\(holder) uses \(directory.path); stop it with `martlet down`, or give --state-dir")
    }
    ftruncate(descriptor, 0)
    let text = "\(getpid())\n"
    _ = text.withCString { write(descriptor, $0, strlen($0)) }
  }

  deinit { close(descriptor) }

  /// The process that holds the lock; nil when nobody does.
  static func holder(_ directory: StateDirectory) -> pid_t? {
    let descriptor = open(directory.lock, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_SH | LOCK_NB) != 0 else { return nil }
    var digits = [UInt8](repeating: 0, count: 16)
    let count = read(descriptor, &digits, digits.count)
    guard count > 1 else { return nil }
    return pid_t(String(decoding: digits[..<(count - 1)], as: UTF8.self))
  }
}

extension StateDirectory {
  /// The pid of the `martlet up` that runs with this directory.
  public var runningHost: Int32? { InstanceLock.holder(self) }
}
