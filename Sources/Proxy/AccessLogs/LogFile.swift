import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A file of an access log, or the proxy's own output. A file that has become too large is renamed, `x.log` to `x.log.1` and
/// that to `x.log.2`, and one that somebody has moved away is opened anew.
final class LogFile: LineOutlet {
  enum Place: Hashable, Sendable {
    /// A descriptor of the process.
    case descriptor(Int32)
    case file(String)
  }

  let queue = LineQueue()
  let thread: OutletThread
  private let place: Place
  private let limit: Int
  private let state = Mutex(State())

  private struct State {
    var descriptor: Int32 = -1
    var identity = FileIdentity()
    var size = 0
  }

  private struct FileIdentity: Equatable {
    var device: UInt = 0
    var inode: UInt = 0
  }

  static let sizeLimit = 64 << 20
  /// Renamed files that are kept.
  static let kept = 4

  /// - Parameter limit: Octets of a file.
  init(_ place: Place, thread: OutletThread, limit: Int = LogFile.sizeLimit) {
    self.place = place
    self.thread = thread
    self.limit = limit
    thread.add(self)
  }

  deinit {
    _ = work(now: 0)
    if case .file = place {
      state.withLock { if $0.descriptor >= 0 { close($0.descriptor) } }
    }
  }

  func work(now: UInt64) -> UInt64? {
    let chunks = queue.collect()
    guard !chunks.isEmpty else { return nil }
    state.withLock { state in
      open(&state)
      for chunk in chunks {
        if write(chunk, &state) { queue.noteDone(chunk.lines) } else { queue.noteLost(chunk.lines) }
        queue.giveBack(chunk)
      }
    }
    return nil
  }

  private func write(_ chunk: LineChunk, _ state: inout State) -> Bool {
    if case .file(let path) = place, state.size > 0, state.size + chunk.count > limit { rotate(path, &state) }
    guard state.descriptor >= 0 else { return false }
    var at = 0
    while at < chunk.count {
      let count = Glibc.write(state.descriptor, chunk.memory + at, chunk.count - at)
      if count > 0 {
        at += count
        state.size += count
      } else if count == 0 || (errno != EINTR && !waitsForRoom(state.descriptor)) {
        return false
      }
    }
    return true
  }

  /// Whoever reads the proxy's output may be slow, and have made it one that does not block.
  private func waitsForRoom(_ descriptor: Int32) -> Bool {
    guard errno == EAGAIN else { return false }
    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&waiting, 1, 1000) > 0
  }

  /// Opens the file where it is not open, or is another one by now.
  private func open(_ state: inout State) {
    guard case .file(let path) = place else {
      if case .descriptor(let descriptor) = place { state.descriptor = descriptor }
      return
    }
    if state.descriptor >= 0, LogFile.identity(of: path) == state.identity { return }
    if state.descriptor >= 0 { close(state.descriptor) }
    // A link in the file's place would lead elsewhere.
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    state.descriptor = Glibc.open(path, flags, 0o640)
    if state.descriptor < 0, errno == ENOENT, let slash = path.lastIndex(of: "/") {
      mkdir(String(path[..<slash]), 0o750)
      state.descriptor = Glibc.open(path, flags, 0o640)
    }
    guard state.descriptor >= 0 else { return }
    var status = stat()
    guard fstat(state.descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(state.descriptor)
      state.descriptor = -1
      return
    }
    state.identity = FileIdentity(device: UInt(status.st_dev), inode: UInt(status.st_ino))
    state.size = Int(status.st_size)
  }

  private static func identity(of path: String) -> FileIdentity? {
    var status = stat()
    return lstat(path, &status) == 0 ? FileIdentity(device: UInt(status.st_dev), inode: UInt(status.st_ino)) : nil
  }

  private func rotate(_ path: String, _ state: inout State) {
    for number in stride(from: LogFile.kept - 1, through: 1, by: -1) {
      rename("\(path).\(number)", "\(path).\(number + 1)")
    }
    rename(path, "\(path).1")
    open(&state)
  }
}
