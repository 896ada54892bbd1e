#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Why metrics can not be served.
public struct MetricsError: Error, Hashable, Sendable, CustomStringConvertible {
  /// `listen on 127.0.0.1:9962`.
  public let operation: String
  public let errno: Int32

  init(_ operation: String, errno: Int32) {
    self.operation = operation
    self.errno = errno
  }

  public var description: String { "can not \(operation): \(String(cString: strerror(errno)))" }
}
