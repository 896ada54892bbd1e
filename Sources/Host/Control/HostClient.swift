import CLinux
public import Files
import JSON

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Asks the `martlet up` of an instance.
public struct HostClient: Sendable {
  private let directory: StateDirectory

  public init(_ directory: StateDirectory) { self.directory = directory }

  /// Has the proxy replaced by one that is started from the executable file as it is now.
  /// - Parameter drain: How long the old one may go on with connections that do not come to rest.
  /// - Returns: The process ids of the old one and of the new one, which serves.
  public func restartProxy(drain: Duration) throws -> (old: Int32, new: Int32) {
    let fd = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(fd) }
    let result = clinux_connect_unix(fd, directory.hostSocket)
    guard result == 0 else {
      throw HostError(
        result == -ENOENT || result == -ECONNREFUSED
          ? "no `martlet up` runs with \(directory.path)"
          : "can not reach `martlet up` at \(directory.hostSocket): \(String(cString: strerror(-result)))")
    }
    guard HostMessage.send(HostRequest(drain: drain).json, to: fd) else {
      throw HostError("`martlet up` does not take the request: \(String(cString: strerror(errno)))")
    }
    let limit = ProxyReplacement.limit + .seconds(10)
    switch try HostAnswer(JSONCursor(JSONValue(parsing: try HostMessage.receive(fd, within: limit)))) {
    case .replaced(let old, let new): return (old, new)
    case .failed(let reason): throw HostError(reason)
    }
  }
}
