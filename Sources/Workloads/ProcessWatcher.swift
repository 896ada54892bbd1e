import CLinux
import CNI
import Files
import Glibc
import Synchronization
import Threads

/// How a process ended.
public enum ProcessExit: Hashable, Sendable {
  case code(Int32)
  case signal(Int32)
  /// It was not a child of this process (it was adopted), so the kernel tells nobody here how it ended.
  case unknown

  /// As shells and Kubernetes count: 128 + signal for a killed process; 137 where nothing is known.
  public var code: Int32 {
    switch self {
    case .code(let code): code
    case .signal(let signal): 128 + signal
    case .unknown: 137
    }
  }
}

/// Waits for any number of processes on one thread, through pidfds in an epoll set: no SIGCHLD handler, which a library
/// in the same process could take away, and no thread for each process.
final class ProcessWatcher: Sendable {
  private struct Watch: Sendable {
    let pidfd: Int32
    let notify: @Sendable (ProcessExit) -> Void
  }
  private struct State {
    var watches: [UInt64: Watch] = [:]
    var next: UInt64 = 1
  }

  private let epoll: Int32
  /// Readable from its first moment; joins the epoll set to end the thread.
  private let wake: Int32
  private let state = Mutex(State())

  init() throws(FileError) {
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw FileError("create", "an epoll set", errno: errno) }
    wake = eventfd(1, Int32(EFD_CLOEXEC))
    guard wake >= 0 else {
      close(epoll)
      throw FileError("create", "an eventfd", errno: errno)
    }
    DetachedThread.tryStart(stackSize: 512 << 10) { [weak self, epoll, wake] in
      while true {
        guard let token = ProcessWatcher.wait(epoll) else { break }
        guard token != 0, let watcher = self else { break }
        watcher.ended(token)
      }
      close(epoll)
      close(wake)
    }
  }

  deinit {
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: 0))
    epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event)
    let held = state.withLock { $0.watches.values.map(\.pidfd) }
    for pidfd in held { close(pidfd) }
  }

  /// Calls `notify` once, on the watcher's thread, when the process has ended. `pid` must be a child that nobody reaps, or
  /// one that `isExpected` confirms once its number can not change its owner any more.
  func watch(
    pid: Int32, isExpected: () -> Bool = { true }, notify: @escaping @Sendable (ProcessExit) -> Void
  ) throws(FileError) -> UInt64 {
    let pidfd = clinux_pidfd_open(pid)
    guard pidfd >= 0 else { throw FileError("watch", "process \(pid)", errno: -pidfd) }
    guard isExpected() else {
      close(pidfd)
      throw FileError("watch", "process \(pid)", errno: ESRCH)
    }
    let token = state.withLock { state in
      let token = state.next
      state.next += 1
      state.watches[token] = Watch(pidfd: pidfd, notify: notify)
      return token
    }
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: token))
    guard epoll_ctl(epoll, EPOLL_CTL_ADD, pidfd, &event) == 0 else {
      let failure = FileError("watch", "process \(pid)", errno: errno)
      _ = state.withLock { $0.watches.removeValue(forKey: token) }
      close(pidfd)
      throw failure
    }
    return token
  }

  /// Sends a signal to a process that is being watched; nothing happens when it has ended.
  func signal(_ token: UInt64, _ number: Int32) {
    state.withLock { state in
      if let watch = state.watches[token] { _ = clinux_pidfd_send_signal(watch.pidfd, number) }
    }
  }

  private func ended(_ token: UInt64) {
    guard let watch = state.withLock({ $0.watches[token] }) else { return }
    var code: Int32 = 0
    var signal: Int32 = 0
    let status = clinux_pidfd_reap(watch.pidfd, &code, &signal)
    if status == -EAGAIN { return }
    // Closed under the lock, so that no signal goes to a descriptor that has become something else. Closing also removes
    // it from the epoll set.
    state.withLock { state in
      state.watches.removeValue(forKey: token)
      close(watch.pidfd)
    }
    watch.notify(status != 0 ? .unknown : signal != 0 ? .signal(signal) : .code(code))
  }

  private static func wait(_ epoll: Int32) -> UInt64? {
    while true {
      var event = epoll_event()
      let count = epoll_wait(epoll, &event, 1, -1)
      if count == 1 { return event.data.u64 }
      if count < 0, errno != EINTR { return nil }
    }
  }
}
