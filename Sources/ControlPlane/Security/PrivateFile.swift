import Glibc

/// Why a file of the state directory can not be read or written.
struct FileError: Error, CustomStringConvertible {
  let path: String
  let operation: String
  let code: Int32
  var description: String { "cannot \(operation) \(path): \(String(cString: strerror(code)))" }
}

/// Files with keys and tokens: only their owner may read them.
enum PrivateFile {
  static func makeDirectory(_ path: String) throws(FileError) {
    var partial = ""
    for step in path.split(separator: "/", omittingEmptySubsequences: false) {
      partial += (partial.isEmpty && !path.hasPrefix("/") ? "" : "/") + step
      while partial.hasPrefix("//") { partial.removeFirst() }
      if step.isEmpty || partial == "/" { continue }
      if mkdir(partial, 0o700) != 0, errno != EEXIST {
        throw FileError(path: partial, operation: "make directory", code: errno)
      }
    }
  }

  /// The contents; nil when the file does not exist.
  static func read(_ path: String) throws(FileError) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    if file < 0 {
      if errno == ENOENT { return nil }
      throw FileError(path: path, operation: "open", code: errno)
    }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileError(path: path, operation: "read", code: errno) }
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer[..<count]
    }
  }

  /// Makes an empty file, mode 0600, unless there is one; takes the file from others in any case.
  static func create(_ path: String) throws(FileError) {
    let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw FileError(path: path, operation: "create", code: errno) }
    fchmod(file, 0o600)
    close(file)
  }

  /// Replaces the file in one step, mode 0600.
  static func write(_ text: String, to path: String) throws(FileError) {
    let temporary = path + ".new"
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw FileError(path: temporary, operation: "create", code: errno) }
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        let code = errno
        close(file)
        throw FileError(path: temporary, operation: "write", code: code)
      }
      bytes = bytes.dropFirst(count)
    }
    fchmod(file, 0o600)
    close(file)
    guard rename(temporary, path) == 0 else { throw FileError(path: path, operation: "replace", code: errno) }
  }
}
