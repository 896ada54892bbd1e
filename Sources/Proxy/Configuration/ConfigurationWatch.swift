import CLinux
import Files
public import Logging
import ProxyRules
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Keeps a `RuleStore` equal to the configuration in a folder and acknowledges each generation.
///
/// No file yet: nothing is served but denials. A broken file: the last good rules stay and the error is logged.
public struct ConfigurationWatch: Sendable {
  public let files: ProxyFiles
  private let rules: RuleStore
  private let logger: Logger
  private let onChange: @Sendable () -> Void

  /// - Parameter onChange: called after each new generation is in force.
  public init(
    files: ProxyFiles, rules: RuleStore, logger: Logger, onChange: @escaping @Sendable () -> Void = {}
  ) {
    self.files = files
    self.rules = rules
    self.logger = logger
    self.onChange = onChange
  }

  /// Follows the file until the task is cancelled.
  public func run() async throws {
    try StateFiles.makeDirectories(files.folder)
    let notifier = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
    guard notifier >= 0 else { throw SocketError("inotify_init", errno: errno) }
    let stop = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    defer {
      close(notifier)
      if stop >= 0 { close(stop) }
    }
    guard stop >= 0 else { throw SocketError("eventfd", errno: errno) }
    guard inotify_add_watch(notifier, files.folder, UInt32(IN_MOVED_TO | IN_CLOSE_WRITE)) >= 0 else {
      throw SocketError("watch \(files.folder)", errno: errno)
    }
    load()
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        DetachedThread.start {
          while Self.wait(notifier, stop) {
            if Self.concernsConfiguration(notifier) { load() }
          }
          continuation.resume()
        }
      }
    } onCancel: {
      eventfd_write(stop, 1)
    }
  }

  /// Reads the file once.
  public func load() {
    do {
      guard let content = try StateFiles.readIfPresent(files.configuration) else {
        logger.notice("no proxy configuration yet: every request is denied")
        return
      }
      let configuration = try ProxyConfiguration(parsing: content)
      let previous = rules.current
      if configuration.generation == previous.generation && previous.generation != 0 { return acknowledge(previous) }
      let table = try RuleSetTable(configuration, reusing: previous)
      rules.replace(with: table)
      acknowledge(table)
      onChange()
    } catch {
      logger.error("the proxy configuration is not usable, the last good one stays in force: \(error)")
    }
  }

  private func acknowledge(_ table: RuleSetTable) {
    do {
      try StateFiles.write(Array("\(table.generation)\n".utf8), to: files.generation)
    } catch {
      logger.error("generation \(table.generation) is in force but can not be acknowledged: \(error)")
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

  private static func concernsConfiguration(_ notifier: Int32) -> Bool {
    var found = false
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
      while true {
        let count = read(notifier, buffer.baseAddress, buffer.count)
        if count <= 0 { return }
        var at = 0
        while at + MemoryLayout<inotify_event>.size <= count {
          let event = buffer.loadUnaligned(fromByteOffset: at, as: inotify_event.self)
          let name = UnsafeRawBufferPointer(
            rebasing: buffer[(at + MemoryLayout<inotify_event>.size)...].prefix(Int(event.len)))
          if event.mask & UInt32(IN_Q_OVERFLOW) != 0
            || name.prefix(while: { $0 != 0 }).elementsEqual(ProxyFiles.configurationName.utf8)
          {
            found = true
          }
          at += MemoryLayout<inotify_event>.size + Int(event.len)
        }
      }
    }
    return found
  }
}
