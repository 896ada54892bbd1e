import Files
import JSON
import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What was learned while there was no agent to tell: a line for each answer, kept over a death of the proxy too, until an
/// agent has acknowledged it.
struct NameJournal {
  private let path: String
  /// As far as this process knows: a proxy that has handed over may still add to the file.
  private var size = 0
  /// What is written beyond this is lost at a restart of both; the kernel has it all the same.
  private static let maximumSize = 4 << 20

  init(path: String) {
    self.path = path
    measure()
  }

  /// Finds what another process has written.
  mutating func measure() { size = NameJournal.size(of: path) }

  private static func size(of path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  mutating func append(_ learned: LearnedName) {
    guard size < NameJournal.maximumSize else { return }
    let line = learned.json.serialized() + [UInt8(ascii: "\n")]
    let fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard fd >= 0 else { return }
    defer { close(fd) }
    if write(fd, line, line.count) == line.count { size += line.count }
  }

  /// The lines that can be read and have not expired.
  func entries(now: Int64) -> [LearnedName] {
    guard size > 0, let content = try? StateFiles.read(path) else { return [] }
    return content.split(separator: UInt8(ascii: "\n")).compactMap { line in
      guard let value = try? JSONValue(parsing: line), let learned = try? LearnedName(JSONCursor(value)) else {
        return nil
      }
      return learned.expires > now ? learned : nil
    }
  }

  var isEmpty: Bool { size == 0 }

  /// Forgets all that this process knows of.
  mutating func clear() {
    if NameJournal.size(of: path) <= size { unlink(path) }
    measure()
  }
}
