import Files
import JSON

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The listeners as files for the proxy, and what the proxy says of them.
struct ListenerFolder {
  /// Tells one content of a file that is replaced whole from another.
  private struct Stamp: Hashable {
    let inode: ino_t
    let seconds: Int
    let nanoseconds: Int

    init?(_ path: String) {
      var found = stat()
      guard stat(path, &found) == 0 else { return nil }
      inode = found.st_ino
      seconds = found.st_mtim.tv_sec
      nanoseconds = found.st_mtim.tv_nsec
    }
  }

  private let files: ProxyFiles
  /// Of each file that is there.
  private(set) var generations: [UInt32: String] = [:]
  /// Whose the files of an earlier agent are.
  private(set) var owners: [ListenerID: UInt32] = [:]
  /// What the proxy said last when a file was written: its refusals are not about that one.
  private var saidBefore: [UInt32: Stamp?] = [:]
  private var read: (stamp: Stamp?, report: ListeningReport) = (nil, ListeningReport())

  /// Removes files that nobody can read.
  init(_ files: ProxyFiles) {
    self.files = files
    for name in (try? StateFiles.list(files.listeners)) ?? [] {
      let path = "\(files.listeners)/\(name)"
      guard let content = try? StateFiles.read(path) else { continue }
      guard let (number, id) = ListenerFile.owner(content), files.listener(number) == path, owners[id] == nil else {
        try? StateFiles.remove(path)
        continue
      }
      owners[id] = number
      generations[number] = (try? JSONValue(parsing: content))?["generation"]?.stringValue
    }
  }

  mutating func write(_ file: ListenerFile) throws(FileError) {
    saidBefore[file.number] = .some(Stamp(files.listening))
    try StateFiles.makeDirectories(files.listeners)
    try StateFiles.write(file.content, to: files.listener(file.number))
    generations[file.number] = file.generation
  }

  mutating func remove(_ number: UInt32) throws(FileError) {
    try StateFiles.remove(files.listener(number))
    generations[number] = nil
    saidBefore[number] = nil
  }

  /// Whether the proxy has said something since `report()`.
  var hasNews: Bool { Stamp(files.listening) != read.stamp }

  /// What the proxy says of the files as they are now.
  mutating func report() -> ListeningReport {
    let stamp = Stamp(files.listening)
    if stamp != read.stamp {
      let content = try? StateFiles.read(files.listening)
      read = (stamp, content.flatMap { try? ListeningReport(parsing: $0) } ?? ListeningReport())
    }
    return read.report.withoutRefusals { number in saidBefore[number].map { $0 == stamp } ?? false }
  }
}

extension ListeningReport {
  fileprivate func withoutRefusals(where isOld: (UInt32) -> Bool) -> ListeningReport {
    var report = self
    report.refused = refused.filter { !isOld($0.key) }
    return report
  }
}
