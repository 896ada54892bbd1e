import Glibc

/// Maps and programs that the kernel accepted. Owns their descriptors; what is neither pinned nor attached goes with it.
public final class LoadedObject: Sendable {
  /// By the full names of the object file.
  public let maps: [String: RawMap]
  /// The selected programs, by name.
  public let programs: [String: Program]
  /// Names of the maps that were found pinned and kept, with their content.
  public let adopted: Set<String>

  init(maps: [String: RawMap], programs: [String: Program], adopted: Set<String>) {
    self.maps = maps
    self.programs = programs
    self.adopted = adopted
  }

  /// The map of this name; ENOENT without it.
  public func map(_ name: String) throws(BPFError) -> RawMap {
    guard let map = maps[name] else {
      throw BPFError(call: "bpf", errno: ENOENT, detail: "the object has no map \"\(name)\"")
    }
    return map
  }

  /// A typed view of the map of this name.
  public func map<Key, Value>(
    _ name: String, key: Key.Type = Key.self, value: Value.Type = Value.self
  ) throws(BPFError) -> BPFMap<Key, Value> {
    try BPFMap(map(name))
  }

  /// The program of this name; ENOENT without it.
  public func program(_ name: String) throws(BPFError) -> Program {
    guard let program = programs[name] else {
      throw BPFError(call: "bpf", errno: ENOENT, detail: "the object has no loaded program \"\(name)\"")
    }
    return program
  }
}

/// A pinned map that is not the one that the object defines, so that it can not be adopted.
public struct PinnedMapMismatch: Error, Sendable, Hashable, CustomStringConvertible {
  public struct Difference: Sendable, Hashable {
    /// `type`, `key size`, `value size`, `max entries` or `flags`.
    public let field: String
    public let expected: String
    public let found: String
  }

  public let path: String
  public let map: String
  public let differences: [Difference]

  public var description: String {
    let list = differences.map { "\($0.field) is \($0.found), the object says \($0.expected)" }
    return "the pinned map \(path) is not map \"\(map)\": \(list.joined(separator: "; "))"
  }

  /// nil when `info` is what `specification` wants.
  init?(_ specification: ObjectSpecification.Map, _ info: MapInfo, path: String) {
    var differences: [Difference] = []
    func compare<T: Equatable>(_ field: String, _ expected: T, _ found: T) {
      if expected != found { differences.append(.init(field: field, expected: "\(expected)", found: "\(found)")) }
    }
    // Device maps report this flag without having been asked for it.
    let ignored: MapFlags =
      specification.type == .deviceMap || specification.type == .deviceHash ? .readOnlyForPrograms : []
    compare("type", specification.type, info.type)
    compare("key size", specification.keySize, info.keySize)
    compare("value size", specification.valueSize, info.valueSize)
    if specification.maxEntries != 0 { compare("max entries", specification.maxEntries, info.maxEntries) }
    compare("flags", specification.flags.rawValue, info.flags.subtracting(ignored).rawValue)
    if differences.isEmpty { return nil }
    self.path = path
    self.map = specification.name
    self.differences = differences
  }
}
