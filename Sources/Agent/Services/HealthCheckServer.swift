import Services
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Says to load balancers whether this node has backends of a Service (`healthCheckNodePort`), as kube-proxy does: 200 with
/// some, 503 without, to every path. On one thread, which serves nothing else.
final class HealthCheckServer: Sendable {
  private struct State {
    var wanted: [UInt16: HealthCheckAnswer] = [:]
    var listeners: [UInt16: Int32] = [:]
    var problems: [UInt16: String] = [:]
    var isRunning = false
  }

  private let state = Mutex(State())
  /// What is sent to the second has the thread, which reads the first, look at `wanted` anew.
  private let alarm: (reading: Int32, writing: Int32)

  init() {
    var pair: [Int32] = [-1, -1]
    let flags = SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
    socketpair(AF_UNIX, Int32(flags), 0, &pair)
    alarm = (pair[0], pair[1])
  }

  deinit {
    close(alarm.reading)
    close(alarm.writing)
  }

  /// What is answered at which port from now on. Ports that nobody names any more are closed; those that are taken are
  /// asked for again every two seconds.
  func set(_ checks: [UInt16: HealthCheckAnswer]) {
    let (isChanged, mustStart) = state.withLock { state in
      let isChanged = state.wanted != checks
      state.wanted = checks
      let mustStart = !checks.isEmpty && !state.isRunning
      if mustStart { state.isRunning = true }
      return (isChanged, mustStart)
    }
    if mustStart {
      DetachedThread.start(stackSize: 256 << 10) { [self] in serve() }
    } else if isChanged {
      send(alarm.writing, [1], 1, Int32(MSG_NOSIGNAL))
    }
  }

  /// The Services whose ports can not be listened on, and why.
  var problems: [ServiceName: String] {
    state.withLock { state in
      state.problems.reduce(into: [:]) { found, problem in
        guard let service = state.wanted[problem.key]?.service else { return }
        found[service] = "can not listen on port \(problem.key) for health checks: \(problem.value)"
      }
    }
  }

  // MARK: - The thread

  private struct Connection {
    let port: UInt16
    let deadline: ContinuousClock.Instant
    var head: [UInt8] = []
  }

  /// A client has so long to ask; and so many may ask at a time.
  private static let patience = Duration.seconds(2)
  private static let greatestCount = 256
  private static let retry: Int32 = 2000

  private func serve() {
    var connections: [Int32: Connection] = [:]
    while let listeners = listen() {
      var polled = [pollfd(fd: alarm.reading, events: Int16(POLLIN), revents: 0)]
      if connections.count < HealthCheckServer.greatestCount {
        polled += listeners.values.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      }
      polled += connections.keys.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      let isWaiting = !connections.isEmpty || state.withLock { !$0.problems.isEmpty }
      guard poll(&polled, nfds_t(polled.count), isWaiting ? HealthCheckServer.retry : -1) >= 0 || errno == EINTR else {
        continue
      }
      let ready = Set(polled.filter { $0.revents != 0 }.map(\.fd))
      if ready.contains(alarm.reading) {
        var byte: UInt8 = 0
        recv(alarm.reading, &byte, 1, 0)
      }
      for (port, listener) in listeners where ready.contains(listener) {
        let accepted = accept(listener, nil, nil)
        guard accepted >= 0 else { continue }
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
        connections[accepted] = Connection(port: port, deadline: .now + HealthCheckServer.patience)
      }
      for (descriptor, connection) in connections {
        var connection = connection
        if ready.contains(descriptor) {
          if converse(descriptor, &connection) {
            connections[descriptor] = connection
            continue
          }
        } else if connection.deadline > .now {
          continue
        }
        close(descriptor)
        connections[descriptor] = nil
      }
    }
    for descriptor in connections.keys { close(descriptor) }
  }

  /// Opens and closes ports until they are those that are wanted; nil when none is, which ends the thread.
  private func listen() -> [UInt16: Int32]? {
    state.withLock { state in
      for (port, descriptor) in state.listeners where state.wanted[port] == nil {
        close(descriptor)
        state.listeners[port] = nil
      }
      state.problems = [:]
      for port in state.wanted.keys where state.listeners[port] == nil {
        switch HealthCheckServer.listener(port) {
        case .success(let descriptor): state.listeners[port] = descriptor
        case .failure(let error): state.problems[port] = String(cString: strerror(error.errno))
        }
      }
      if state.wanted.isEmpty { state.isRunning = false }
      return state.wanted.isEmpty ? nil : state.listeners
    }
  }

  private struct SystemError: Error { let errno: Int32 }

  /// At every address of the node, of both families where it has both.
  private static func listener(_ port: UInt16) -> Result<Int32, SystemError> {
    let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    var family = AF_INET6
    var descriptor = socket(family, flags, 0)
    if descriptor < 0, errno == EAFNOSUPPORT {
      family = AF_INET
      descriptor = socket(family, flags, 0)
    }
    guard descriptor >= 0 else { return .failure(SystemError(errno: errno)) }
    var (on, off) = (Int32(1), Int32(0))
    let size = socklen_t(MemoryLayout<Int32>.size)
    // Connections of an earlier process that are still closing do not keep the port.
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
    if family == AF_INET6 { setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, size) }
    // All zeros are the unspecified address of either family, and the port has the same place in both.
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(family)
    address.sin6_port = port.bigEndian
    let length = family == AF_INET6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
    let bound = withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(length)) }
    }
    guard bound == 0, listenOn(descriptor) == 0 else {
      let failure = errno
      close(descriptor)
      return .failure(SystemError(errno: failure))
    }
    return .success(descriptor)
  }

  /// False when the connection is to be closed: answered, or not worth an answer.
  private func converse(_ descriptor: Int32, _ connection: inout Connection) -> Bool {
    var chunk = [UInt8](repeating: 0, count: 2048)
    let count = recv(descriptor, &chunk, chunk.count, 0)
    if count < 0, errno == EAGAIN || errno == EINTR { return true }
    guard count > 0 else { return false }
    connection.head += chunk[..<count]
    guard HealthCheckAnswer.isWhole(connection.head) else { return connection.head.count < 8192 }
    let check = state.withLock { [port = connection.port] in $0.wanted[port] }
    let answer = check?.bytes(to: connection.head) ?? []
    _ = answer.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    return false
  }
}

private func listenOn(_ descriptor: Int32) -> Int32 { listen(descriptor, 64) }
