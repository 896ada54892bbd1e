import Glibc

/// A folder that is removed with all that is in it.
public final class TemporaryDirectory: Sendable {
  public let path: String

  /// A new folder below ``root``.
  public init(_ name: String = "test") throws { path = try TemporaryDirectory.make(name) }

  deinit { TemporaryDirectory.remove(path) }

  public struct Failure: Error, CustomStringConvertible {
    public let path: String
    public let number: Int32
    public var description: String { "mkdtemp \(path): \(String(cString: strerror(number)))" }
  }

  /// Where tests may leave files: `$TMPDIR`, which `scripts/test` removes when its run is over, however its tests end.
  public static let root = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"

  /// For what the test removes itself.
  public static func make(_ name: String) throws -> String {
    let path = "\(root)/martlet-\(name).XXXXXX"
    var template = Array(path.utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(path: path, number: errno) }
    return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Removes a folder that `make` has made, with what is in it.
  public static func remove(_ path: String) {
    guard path.hasPrefix("\(root)/martlet-") else { return }
    removeAll(path)
  }

  private static func removeAll(_ path: String) {
    if unlink(path) == 0 || errno == ENOENT { return }
    if let folder = opendir(path) {
      while let entry = readdir(folder) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { removeAll(path + "/" + name) }
      }
      closedir(folder)
    }
    rmdir(path)
  }
}
