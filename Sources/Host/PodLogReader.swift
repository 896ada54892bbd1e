import ControlPlane
import NodeAPI
import Threads
import Workloads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Reads what pods wrote, for `kubectl logs`.
enum PodLogReader {
  /// nil when the pod has written nothing yet.
  static func read(_ request: PodLogRequest, directory: StateDirectory) -> PodLog? {
    let path = PodRuntimeConfiguration.logPath(
      stateDirectory: directory.path, namespace: request.namespace, name: request.name)
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    let (stream, continuation) = PodLog.makeStream()
    let stopped = Flag()
    continuation.onTermination = { _ in stopped.set() }
    DetachedThread.start {
      defer {
        close(descriptor)
        continuation.finish()
      }
      if let lines = request.tailLines { seekToTail(descriptor, lines: lines) }
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      while !stopped.isSet {
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        if count > 0 {
          continuation.yield(Array(buffer[..<count]))
        } else if request.follow, access(path, F_OK) == 0 {
          usleep(100_000)
        } else {
          return
        }
      }
    }
    return stream
  }

  /// Moves the offset to the start of the last so many lines.
  private static func seekToTail(_ descriptor: Int32, lines: Int) {
    var offset = lseek(descriptor, 0, SEEK_END)
    var remaining = lines
    var byte: UInt8 = 0
    var isFirst = true
    while offset > 0 {
      guard pread(descriptor, &byte, 1, offset - 1) == 1 else { break }
      if byte == 0x0A, !isFirst {
        remaining -= 1
        if remaining == 0 { break }
      }
      isFirst = false
      offset -= 1
    }
    lseek(descriptor, lines == 0 ? lseek(descriptor, 0, SEEK_END) : offset, SEEK_SET)
  }
}
