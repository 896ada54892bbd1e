#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A lock on a file (flock(2)). The kernel lets go of it when the process ends, however it does.
public final class FileLock: Sendable {
  /// Of the file, for reading and writing.
  public let descriptor: Int32

  /// Makes the file when there is none. nil: somebody else has the lock.
  public init?(_ path: String) throws(FileError) {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
    // `deinit` closes the file then too.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return nil }
  }

  deinit { close(descriptor) }
}
