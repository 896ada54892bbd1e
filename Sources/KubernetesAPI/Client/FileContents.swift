#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

enum FileContents {
  static func read(_ path: String) throws(ConfigurationError) -> [UInt8] {
    guard let file = fopen(path, "rbe") else {
      throw ConfigurationError(description: "can not read \(path): \(String(cString: strerror(errno)))")
    }
    defer { fclose(file) }
    var contents: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = fread(&buffer, 1, buffer.count, file)
      contents += buffer.prefix(count)
      if count < buffer.count { break }
    }
    guard ferror(file) == 0 else { throw ConfigurationError(description: "can not read \(path)") }
    return contents
  }
}
