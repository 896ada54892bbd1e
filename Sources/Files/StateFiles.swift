import Glibc

/// A file operation that failed.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
  public let operation: String
  public let path: String
  public let errno: Int32

  public init(_ operation: String, _ path: String, errno: Int32) {
    self.operation = operation
    self.path = path
    self.errno = errno
  }

  public var description: String { "can not \(operation) \(path): \(String(cString: strerror(errno)))" }
}

/// Small files, read whole. Written whole and renamed into place, so that a reader, or the same program after a
/// crash, sees the old content or the new one and nothing between.
public enum StateFiles {
  public static func read(_ path: String) throws(FileError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count > 0 {
        content += chunk[..<count]
      } else if count == 0 {
        return content
      } else if errno != EINTR {
        throw FileError("read", path, errno: errno)
      }
    }
  }

  /// As `read`; nil when there is no such file.
  public static func readIfPresent(_ path: String) throws(FileError) -> [UInt8]? {
    do throws(FileError) { return try read(path) } catch {
      if error.errno == ENOENT { return nil }
      throw error
    }
  }

  /// Replaces `path`; the content is on disk when it returns if `durable`.
  public static func write(
    _ content: [UInt8], to path: String, mode: mode_t = 0o600, durable: Bool = false
  ) throws(FileError) {
    // The process id keeps two writers of one path from sharing a temporary file.
    let temporary = "\(path).\(getpid()).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw FileError("create", temporary, errno: errno) }
    var failure = writeAll(content, to: descriptor)
    if failure == 0, durable, fsync(descriptor) != 0 { failure = errno }
    close(descriptor)
    if failure == 0, rename(temporary, path) != 0 { failure = errno }
    guard failure == 0 else {
      unlink(temporary)
      throw FileError("write", path, errno: failure)
    }
  }

  /// Makes an empty file unless there is one; takes it from everybody else in any case.
  public static func create(_ path: String) throws(FileError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw FileError("create", path, errno: errno) }
    fchmod(descriptor, 0o600)
    close(descriptor)
  }

  /// Writes into a file that exists, as those of procfs, sysfs and cgroupfs are written: with one write(2).
  public static func put(_ text: String, into path: String) throws(FileError) {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
      throw FileError("write", path, errno: errno)
    }
  }

  /// The names in a folder, sorted; temporary files of `write` are left out. Empty when there is no such folder.
  public static func list(_ path: String) throws(FileError) -> [String] {
    guard let folder = opendir(path) else {
      if errno == ENOENT { return [] }
      throw FileError("list", path, errno: errno)
    }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      if name != ".", name != "..", !name.hasSuffix(".tmp") { names.append(name) }
    }
    return names.sorted()
  }

  /// Makes a folder and those above it; one that exists is left as it is.
  public static func makeDirectories(_ path: String, mode: mode_t = 0o700) throws(FileError) {
    if mkdir(path, mode) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
      throw FileError("make folder", path, errno: errno)
    }
    try makeDirectories(String(path[..<slash]), mode: mode)
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw FileError("make folder", path, errno: errno) }
  }

  /// Removes a file; one that is not there is no error.
  public static func remove(_ path: String) throws(FileError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw FileError("remove", path, errno: errno) }
  }

  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  private static func writeAll(_ content: [UInt8], to descriptor: Int32) -> Int32 {
    var written = 0
    while written < content.count {
      let count = content.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written)
      }
      if count > 0 {
        written += count
      } else if count == 0 || errno != EINTR {
        return count == 0 ? EIO : errno
      }
    }
    return 0
  }
}
