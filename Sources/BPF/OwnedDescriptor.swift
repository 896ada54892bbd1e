import Glibc

/// A file descriptor that is closed when its last owner goes.
final class OwnedDescriptor: Sendable {
  let number: Int32

  init(owning number: Int32) { self.number = number }

  /// A duplicate of a descriptor that somebody else owns.
  convenience init(duplicating number: Int32) throws(BPFError) {
    let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
    try check(copy < 0 ? -errno : copy, "fcntl(F_DUPFD_CLOEXEC)")
    self.init(owning: copy)
  }

  deinit { close(number) }
}
