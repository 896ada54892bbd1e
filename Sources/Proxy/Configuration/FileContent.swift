#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Small files, read whole and replaced whole.
enum FileContent {
  /// - Returns: nil when there is no such file.
  static func read(_ path: String) throws(SocketError) -> [UInt8]? {
    let fd = open(path, O_RDONLY | O_CLOEXEC)
    if fd < 0 {
      if errno == ENOENT { return nil }
      throw SocketError("open \(path)", errno: errno)
    }
    defer { close(fd) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = Glibc.read(fd, &chunk, chunk.count)
      if count == 0 { return content }
      if count < 0 {
        if errno == EINTR { continue }
        throw SocketError("read \(path)", errno: errno)
      }
      content.append(contentsOf: chunk[..<count])
    }
  }

  /// A reader sees the old content or the new one, never a part.
  static func replace(_ path: String, with content: [UInt8]) throws(SocketError) {
    let temporary = path + ".new"
    let fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard fd >= 0 else { throw SocketError("open \(temporary)", errno: errno) }
    let count = write(fd, content, content.count)
    let failure = count == content.count ? 0 : errno == 0 ? ENOSPC : errno
    close(fd)
    guard failure == 0 else { throw SocketError("write \(temporary)", errno: failure) }
    guard rename(temporary, path) == 0 else { throw SocketError("rename \(temporary)", errno: errno) }
  }
}
