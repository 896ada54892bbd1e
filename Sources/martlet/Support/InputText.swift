#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Reads what the user names: a file, or `-` for the standard input.
enum InputText {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  static func read(_ path: String) throws(Failure) -> String {
    let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path) }
    defer { if descriptor != 0 { close(descriptor) } }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = buffer.withUnsafeMutableBytes { readBytes(descriptor, $0) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(path) }
      if count == 0 { break }
      content += buffer[..<count]
    }
    guard let text = String(validating: content, as: UTF8.self) else {
      throw Failure(description: "\(path): not UTF-8 text")
    }
    return text
  }

  private static func failure(_ path: String) -> Failure {
    Failure(description: "can not read \(path): \(String(cString: strerror(errno)))")
  }
}

/// The system call, out of reach of the method that has its name.
private func readBytes(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
  read(descriptor, buffer.baseAddress, buffer.count)
}
