import CLinux
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Tells which files of some folders have been replaced, made or removed.
struct FolderWatch: Sendable {
  /// What has changed since the last time.
  enum Changes: Sendable {
    /// By folder, the names of the files.
    case files([String: Set<String>])
    /// More than the kernel keeps: anything.
    case unknown
  }

  let folders: [String]

  /// Follows the folders, which must be there, until the task is cancelled. Calls `onChange` on a thread of its own, first
  /// with `unknown`: what is read then is not missed later.
  func run(_ onChange: @escaping @Sendable (Changes) -> Void) async throws {
    let notifier = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
    guard notifier >= 0 else { throw SocketError("inotify_init", errno: errno) }
    let stop = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    defer {
      close(notifier)
      if stop >= 0 { close(stop) }
    }
    guard stop >= 0 else { throw SocketError("eventfd", errno: errno) }
    var watches: [Int32: String] = [:]
    for folder in folders {
      let watch = inotify_add_watch(
        notifier, folder, UInt32(IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE))
      guard watch >= 0 else { throw SocketError("watch \(folder)", errno: errno) }
      watches[watch] = folder
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        DetachedThread.start { [watches] in
          onChange(.unknown)
          while Self.wait(notifier, stop) { onChange(Self.collect(notifier, watches)) }
          continuation.resume()
        }
      }
    } onCancel: {
      eventfd_write(stop, 1)
    }
  }

  /// - Returns: false when it is time to stop.
  private static func wait(_ notifier: Int32, _ stop: Int32) -> Bool {
    var polled = [
      pollfd(fd: notifier, events: Int16(POLLIN), revents: 0), pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
    ]
    while poll(&polled, 2, -1) < 0 && errno == EINTR {}
    return polled[1].revents == 0
  }

  private static func collect(_ notifier: Int32, _ watches: [Int32: String]) -> Changes {
    var files: [String: Set<String>] = [:]
    var overflowed = false
    withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 8) { buffer in
      while true {
        let count = read(notifier, buffer.baseAddress, buffer.count)
        if count <= 0 { return }
        var at = 0
        while at + MemoryLayout<inotify_event>.size <= count {
          let event = buffer.loadUnaligned(fromByteOffset: at, as: inotify_event.self)
          let name = UnsafeRawBufferPointer(
            rebasing: buffer[(at + MemoryLayout<inotify_event>.size)...].prefix(Int(event.len)))
          if event.mask & UInt32(IN_Q_OVERFLOW) != 0 { overflowed = true }
          if let folder = watches[event.wd] {
            files[folder, default: []].insert(String(decoding: name.prefix { $0 != 0 }, as: UTF8.self))
          }
          at += MemoryLayout<inotify_event>.size + Int(event.len)
        }
      }
    }
    return overflowed ? .unknown : .files(files)
  }
}
