import Files
import JSON
import KubernetesAPI

/// The version of each configuration that is followed, for an agent that starts while the API has a worse one.
struct GoodVersions {
  let folder: String

  /// What an earlier agent followed; what can not be read is left out.
  var all: [EnvoyConfig] {
    ((try? StateFiles.list(folder)) ?? []).compactMap { name in
      guard let content = try? StateFiles.read("\(folder)/\(name)"), let document = try? JSONValue(parsing: content)
      else { return nil }
      return try? EnvoyConfig(document: document)
    }
  }

  /// nil: none.
  func set(_ key: ObjectKey, _ version: EnvoyConfig?) throws(FileError) {
    // Names of objects may be longer than those of files.
    let hash = "\(key)".utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let path = "\(folder)/\(String(hash, radix: 16)).json"
    guard let version else { return try StateFiles.remove(path) }
    try StateFiles.makeDirectories(folder)
    try StateFiles.write(version.document, to: path)
  }
}
