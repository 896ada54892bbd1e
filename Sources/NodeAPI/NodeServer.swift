import Glibc
import Synchronization
import Threads

/// Serves the node API on a Unix socket: HTTP/1.1, one request per connection, one thread for each.
///
///     let server = try NodeServer(socketPath: path) { request in .json(["path": .string(request.path)]) }
///     defer { server.stop() }
public final class NodeServer: Sendable {
  public typealias Handler = @Sendable (NodeRequest) async -> NodeResponse

  public struct Limits: Hashable, Sendable {
    /// Bytes of a request's body.
    public var maximumBody = 4 << 20
    /// Connections at a time; more wait in the backlog.
    public var maximumConnections = 128
    /// For a whole request to arrive.
    public var requestTimeout = Duration.seconds(10)
    /// For a client to take a piece of the answer.
    public var writeTimeout = Duration.seconds(30)

    public init() {}
  }

  public let socketPath: String
  private let listener: UnixSocket
  private let limits: Limits
  private let handler: Handler
  private let inode: UInt64
  /// Ends the accepting thread.
  private let stopping: WakeUp
  private let connections = Mutex(0)

  /// Of the threads that wait for requests and answer them, in bytes.
  static let stackSize = 512 << 10

  /// Listens when it returns. The socket has mode 0600; a file left by an agent that died is replaced, and one on which
  /// somebody listens is an error.
  public init(
    socketPath: String, limits: Limits = Limits(), handler: @escaping Handler
  ) throws(NodeServerError) {
    self.socketPath = socketPath
    self.limits = limits
    self.handler = handler
    do throws(SystemCall.Failure) {
      guard try NodeServer.isFree(socketPath) else { throw SystemCall.Failure(call: "bind", errno: EADDRINUSE) }
      listener = try UnixSocket.make()
      // Made beside the final name and moved there, so that at no time it can be reached with another mode, and that
      // the stale file goes in the same instant.
      let temporary = "\(socketPath).\(getpid())"
      unlink(temporary)
      try listener.bind(to: temporary)
      do throws(SystemCall.Failure) {
        _ = try SystemCall.retrying("chmod") { chmod(temporary, 0o600) }
        let number = listener.descriptor.number
        _ = try SystemCall.retrying("listen") { listen(number, 128) }
        inode = NodeServer.inode(of: temporary)
        _ = try SystemCall.retrying("rename") { rename(temporary, socketPath) }
      } catch {
        unlink(temporary)
        throw error
      }
      stopping = try WakeUp()
    } catch {
      throw error.errno == EADDRINUSE
        ? .inUse(socketPath: socketPath) : .system(socketPath: socketPath, reason: error.description)
    }
    guard DetachedThread.tryStart(stackSize: NodeServer.stackSize, { [self] in accepting() }) == 0 else {
      throw .system(socketPath: socketPath, reason: "can not start a thread")
    }
  }

  /// Stops listening and removes the socket, unless another server has taken its place. Requests under way go on.
  public func stop() {
    stopping.send()
    if NodeServer.inode(of: socketPath) == inode { unlink(socketPath) }
  }

  private func accepting() {
    while true {
      let isFull = connections.withLock { $0 >= limits.maximumConnections }
      var descriptors = [pollfd(fd: stopping.receiver.number, events: Int16(POLLIN), revents: 0)]
      if !isFull { descriptors.append(pollfd(fd: listener.descriptor.number, events: Int16(POLLIN), revents: 0)) }
      let deadline = isFull ? ContinuousClock.now + .milliseconds(10) : nil
      guard (try? SystemCall.poll(&descriptors, until: deadline)) != nil, descriptors[0].revents == 0 else { return }
      guard !isFull else { continue }
      let number = UnixSocket.accept(listener)
      guard number >= 0 else {
        // Out of descriptors, perhaps: others will be closed.
        if errno != EAGAIN && errno != EINTR { usleep(10_000) }
        continue
      }
      let socket = UnixSocket(descriptor: Descriptor(number))
      connections.withLock { $0 += 1 }
      let started = DetachedThread.tryStart(stackSize: NodeServer.stackSize) { [self] in
        NodeConnection(socket: socket, limits: limits, handler: handler).serve()
        connections.withLock { $0 -= 1 }
      }
      if started != 0 { connections.withLock { $0 -= 1 } }
    }
  }

  /// Whether nobody listens at `path`. What is there must be a socket, or nothing.
  private static func isFree(_ path: String) throws(SystemCall.Failure) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0 else { return true }
    guard status.st_mode & S_IFMT == S_IFSOCK else { throw SystemCall.Failure(call: "bind", errno: EEXIST) }
    do throws(SystemCall.Failure) {
      _ = try UnixSocket.connect(to: path)
      return false
    } catch {
      return error.errno == ECONNREFUSED || error.errno == ENOENT
    }
  }

  private static func inode(of path: String) -> UInt64 {
    var status = stat()
    return lstat(path, &status) == 0 ? UInt64(status.st_ino) : 0
  }
}

/// Why a server can not listen.
public enum NodeServerError: Error, Hashable, Sendable, CustomStringConvertible {
  case inUse(socketPath: String)
  case system(socketPath: String, reason: String)

  public var description: String {
    switch self {
    case .inUse(let path): "another process listens at \(path)"
    case .system(let path, let reason): "can not listen at \(path): \(reason)"
    }
  }
}
