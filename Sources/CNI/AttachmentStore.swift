import Files
import JSON

/// The attachments of a node as files below `DIR/cni/attachments`, one each, written by the agent alone.
public struct AttachmentStore: Sendable {
  public let directory: String

  /// Makes the folder when it is missing.
  public init(stateDirectory: String) throws(FileError) {
    directory = AttachmentStore.path(stateDirectory: stateDirectory)
    try StateFiles.makeDirectories(directory)
  }

  /// Where the attachments of an instance are, whether or not there are any.
  public static func path(stateDirectory: String) -> String { stateDirectory + "/cni/attachments" }

  /// Every record, oldest first, and what is wrong with those that can not be read.
  public func load() throws(FileError) -> (attachments: [PodAttachment], problems: [String]) {
    var attachments: [PodAttachment] = []
    var problems: [String] = []
    for name in try StateFiles.list(directory) {
      let path = directory + "/" + name
      do {
        attachments.append(try PodAttachment(JSONCursor(JSONValue(parsing: StateFiles.read(path)))))
      } catch {
        problems.append("\(path): \(error)")
      }
    }
    return (attachments.sorted { $0.createdAt < $1.createdAt }, problems)
  }

  /// Not synced to disk: the network namespaces it speaks of do not outlive the kernel either.
  public func save(_ attachment: PodAttachment) throws(FileError) {
    try StateFiles.write(attachment.json.serialized(), to: path(of: attachment.key))
  }

  public func remove(_ key: CNIAttachmentKey) throws(FileError) {
    try StateFiles.remove(path(of: key))
  }

  private func path(of key: CNIAttachmentKey) -> String { directory + "/" + key.fileName }
}

/// Deletes that the plugin could not bring to the agent: files below `DIR/cni/pending-deletes`. The agent performs and
/// removes them when it starts, before it listens and again when it does.
public struct PendingDeletes: Sendable {
  public let directory: String

  public init(stateDirectory: String) { directory = stateDirectory + "/cni/pending-deletes" }

  public func add(_ key: CNIAttachmentKey) throws(FileError) {
    try StateFiles.makeDirectories(directory)
    let record: JSONValue = ["containerID": .string(key.containerID), "interface": .string(key.interfaceName)]
    try StateFiles.write(record.serialized(), to: directory + "/" + key.fileName)
  }

  /// Those that wait; files that make no sense are removed, as nobody can act on them.
  public func load() throws(FileError) -> [CNIAttachmentKey] {
    var keys: [CNIAttachmentKey] = []
    for name in try StateFiles.list(directory) {
      let path = directory + "/" + name
      guard let record = try? JSONValue(parsing: StateFiles.read(path)),
        let containerID = record["containerID"]?.stringValue, let interface = record["interface"]?.stringValue
      else {
        try StateFiles.remove(path)
        continue
      }
      keys.append(CNIAttachmentKey(containerID: containerID, interfaceName: interface))
    }
    return keys
  }

  public func contains(_ key: CNIAttachmentKey) -> Bool { StateFiles.exists(directory + "/" + key.fileName) }

  public func remove(_ key: CNIAttachmentKey) throws(FileError) {
    try StateFiles.remove(directory + "/" + key.fileName)
  }
}
