import CLinux
import JSON
import Logging
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The socket by which `martlet up` is asked for what only it can do: one request for each connection, one answer. Only its
/// own user may ask.
final class HostControl: Sendable {
  private let fd: Int32
  private let path: String
  private let logger: Logger
  private let answer: @Sendable (HostRequest) async -> HostAnswer

  /// Takes the path from whoever had it.
  init(
    path: String, logger: Logger, answer: @escaping @Sendable (HostRequest) async -> HostAnswer
  ) throws(HostError) {
    self.path = path
    self.logger = logger
    self.answer = answer
    fd = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0)
    unlink(path)
    let result = clinux_bind_unix(fd, path)
    guard result == 0, chmod(path, 0o600) == 0, listen(fd, 8) == 0 else {
      // `deinit` closes the socket.
      throw HostError("can not listen at \(path): \(String(cString: strerror(result == 0 ? errno : -result)))")
    }
  }

  deinit { close(fd) }

  /// Begins to answer, on a thread of its own.
  func start() {
    DetachedThread.start {
      while true {
        let connection = accept(self.fd, nil, nil)
        if connection >= 0 {
          Task {
            await self.serve(connection)
            close(connection)
          }
        } else if errno != EINTR, errno != ECONNABORTED {
          // EINVAL is the end; without descriptors it is better to come back than to spin.
          if errno == EINVAL { return }
          usleep(100_000)
        }
      }
    }
  }

  func stop() {
    shutdown(fd, Int32(SHUT_RDWR))
    unlink(path)
  }

  private func serve(_ connection: Int32) async {
    var user: uid_t = 0
    var process: pid_t = 0
    guard clinux_peer(connection, &user, &process) == 0, user == geteuid() else { return }
    let result: HostAnswer
    do throws(HostError) {
      let bytes = try await DetachedThread.run {
        Result { () throws(HostError) in try HostMessage.receive(connection, within: .seconds(2)) }
      }.get()
      let request: HostRequest
      do { request = try HostRequest(JSONCursor(JSONValue(parsing: bytes))) } catch { throw HostError("\(error)") }
      logger.info("pid \(process) asks for another proxy")
      result = await answer(request)
    } catch {
      result = .failed("\(error)")
    }
    HostMessage.send(result.json, to: connection)
  }
}

/// One message in JSON.
enum HostMessage {
  @discardableResult
  static func send(_ json: JSONValue, to fd: Int32) -> Bool {
    let bytes = json.serialized()
    return Glibc.send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  /// Blocks the thread.
  static func receive(_ fd: Int32, within limit: Duration) throws(HostError) -> [UInt8] {
    var limit = timeval(tv_sec: Int(limit.components.seconds), tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(fd, &buffer, buffer.count, 0)
    guard count > 0 else {
      throw HostError(count == 0 ? "the other side has ended" : "no word came: \(String(cString: strerror(errno)))")
    }
    return Array(buffer[..<count])
  }
}
