import Files
import JSON
import Proxy

/// The listeners as files for the proxy, and what the proxy says of them.
struct ListenerFolder {
  private let files: ProxyFiles
  /// Of each file that is there.
  private(set) var generations: [UInt32: String] = [:]
  /// Whose the files of an earlier agent are.
  private(set) var owners: [ListenerID: UInt32] = [:]
  /// Removes files that nobody can read.
  init(_ files: ProxyFiles) {
    self.files = files
    for name in (try? StateFiles.list(files.listeners)) ?? [] {
      let path = "\(files.listeners)/\(name)"
      guard let content = try? StateFiles.read(path) else { continue }
      guard let (number, id) = ListenerDocument.owner(content), files.listener(number) == path, owners[id] == nil else {
        try? StateFiles.remove(path)
        continue
      }
      owners[id] = number
      generations[number] = (try? JSONValue(parsing: content))?["generation"]?.stringValue
    }
  }

  mutating func write(_ file: ListenerDocument) throws(FileError) {
    try StateFiles.makeDirectories(files.listeners)
    try StateFiles.write(file.content, to: files.listener(file.number))
    generations[file.number] = file.generation
  }

  mutating func remove(_ number: UInt32) throws(FileError) {
    try StateFiles.remove(files.listener(number))
    generations[number] = nil
  }

  /// What the proxy says of them.
  var answer: ListeningAnswer {
    guard let content = try? StateFiles.read(files.listening), let document = try? JSONValue(parsing: content) else {
      return ListeningAnswer()
    }
    return (try? ListeningAnswer(JSONCursor(document))) ?? ListeningAnswer()
  }
}
