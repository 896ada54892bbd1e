import CNI
import Files
import Glibc

/// Reading what a Pod's process has written.
public enum PodLogs {
  /// Hands the log's bytes to `write`, from the beginning or from the last `tail` lines on; with `follow` it then waits for
  /// more until the Pod is gone. `write` returns false to stop. Blocks.
  public static func read(
    stateDirectory: String, namespace: String, name: String, tail: Int? = nil, follow: Bool = false,
    write: (ArraySlice<UInt8>) -> Bool
  ) throws(FileError) {
    let path = PodRuntimeConfiguration.logPath(stateDirectory: stateDirectory, namespace: namespace, name: name)
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
    defer { close(descriptor) }
    if let tail { lseek(descriptor, start(ofLast: tail, descriptor), SEEK_SET) }
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count > 0 {
        guard write(chunk[..<count]) else { return }
        continue
      }
      if count < 0, errno != EINTR { throw FileError("read", path, errno: errno) }
      var status = stat()
      guard follow, fstat(descriptor, &status) == 0 else { return }
      // Unlinked: the Pod is gone, and this was its last word.
      if status.st_nlink == 0 { return }
      // Truncated for a new Pod of the name.
      if lseek(descriptor, 0, SEEK_CUR) > status.st_size { lseek(descriptor, 0, SEEK_SET) }
      usleep(50_000)
    }
  }

  /// The offset at which the last `lines` lines begin.
  private static func start(ofLast lines: Int, _ descriptor: Int32) -> off_t {
    var end = lseek(descriptor, 0, SEEK_END)
    guard lines > 0 else { return end }
    var missing = lines
    var isLastByte = true
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while end > 0 {
      let size = min(end, off_t(chunk.count))
      let count = pread(descriptor, &chunk, Int(size), end - size)
      guard count > 0 else { return 0 }
      for index in stride(from: count - 1, through: 0, by: -1) {
        // The newline at the very end closes the last line and begins none.
        if chunk[index] == 10, !isLastByte {
          missing -= 1
          if missing == 0 { return end - size + off_t(index) + 1 }
        }
        isLastByte = false
      }
      end -= size
    }
    return 0
  }
}
