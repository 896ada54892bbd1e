import Files

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Keeps two `martlet up` from sharing a state directory; its file says who has it.
final class InstanceLock: Sendable {
  private let lock: FileLock

  init(_ directory: StateDirectory) throws(HostError) {
    let found: FileLock?
    do throws(FileError) { found = try FileLock(directory.lock) } catch { throw HostError("\(error)") }
    guard let found else {
      let holder = InstanceLock.holder(directory).map { " (pid \($0))" } ?? ""
      throw HostError(
        "another `martlet up`\(holder) uses \(directory.path); stop it with `martlet down`, or give --state-dir")
    }
    lock = found
    ftruncate(lock.descriptor, 0)
    let text = "\(getpid())\n"
    _ = text.withCString { write(lock.descriptor, $0, strlen($0)) }
  }

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
