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
  /// The number that was given last, also to a listener that is gone.
  private(set) var lastNumber: UInt32 = 0

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
    let said = (try? StateFiles.read(files.listenerNumber)).flatMap { UInt32(String(decoding: $0, as: UTF8.self)) }
    lastNumber = max(said ?? 0, owners.values.max() ?? 0)
  }

  /// Keeps the number that was given last.
  mutating func setLastNumber(_ number: UInt32) throws(FileError) {
    guard number != lastNumber else { return }
    try StateFiles.write(Array("\(number)".utf8), to: files.listenerNumber)
    lastNumber = number
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
