import JSON
import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The connection to the agent's socket for learned names; never waits for it.
struct AgentLink {
  private let path: String
  private(set) var fd: Int32 = -1
  private var retryAt: UInt64 = 0

  /// Between two attempts to connect.
  private static let pause: UInt64 = 100_000_000

  init(path: String) { self.path = path }

  var isUp: Bool { fd >= 0 }

  /// - Returns: true when the link is up now and was not before.
  mutating func connect(now: UInt64) -> Bool {
    guard fd < 0, now >= retryAt else { return false }
    retryAt = now &+ AgentLink.pause
    let socket = Socket.connected(SOCK_SEQPACKET, to: path)
    guard socket >= 0 else { return false }
    fd = socket
    return true
  }

  /// - Returns: false when the agent did not take it.
  func send(_ report: NameReport) -> Bool {
    let bytes = report.json.serialized()
    return Glibc.send(fd, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)) == bytes.count
  }

  /// The ids that were acknowledged; nil when the agent is gone.
  func receive() -> [Int64]? {
    var ids: [Int64] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(fd, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { return nil }
      if count < 0 { return ids }
      if let id = NameReport.acknowledged(parsing: buffer[..<count]) { ids.append(id) }
    }
  }

  mutating func close() {
    if fd >= 0 { Glibc.close(fd) }
    fd = -1
  }
}
