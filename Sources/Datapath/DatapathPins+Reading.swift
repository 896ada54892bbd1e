import BPF

/// One pinned map, in numbers.
public struct MapSummary: Hashable, Sendable {
  public let id: UInt32
  public let name: String
  public let type: String
  /// nil where counting makes no sense.
  public let entries: Int?
  public let maxEntries: Int
  /// Of kernel memory.
  public let bytes: Int
}

extension DatapathPins {
  /// The programs of this instance.
  public func loadedPrograms() throws(BPFError) -> [Program] {
    var found: [Program] = []
    for name in try BPFFS.list(programs) { found.append(try Program.fromPin("\(programs)/\(name)")) }
    return found
  }

  /// Which program is on which device.
  public func attachments() throws(BPFError) -> [(device: String, programID: UInt32)] {
    try pods.programs() + devices.programs()
  }

  public func mapSummaries() throws(BPFError) -> [MapSummary] {
    var found: [MapSummary] = []
    for name in try BPFFS.list(maps) {
      let raw = try RawMap.fromPin("\(maps)/\(name)")
      let countable: Set<MapType> = [.hash, .lruHash, .lpmTrie, .hashOfMaps]
      found.append(
        MapSummary(
          id: raw.info.id, name: name, type: raw.info.type.description,
          entries: countable.contains(raw.info.type) ? (try? raw.countEntries()) : nil,
          maxEntries: Int(raw.info.maxEntries), bytes: Int((try? raw.memoryBytes()) ?? 0)))
    }
    return found
  }
}

extension RawMap {
  fileprivate func countEntries() throws(BPFError) -> Int {
    var count = 0
    var key = try nextKey(after: nil)
    while let current = key {
      count += 1
      key = try nextKey(after: current)
    }
    return count
  }
}

extension PolicyTables {
  /// The pinned tables of an instance, for those who only read.
  public static func pinned(_ pins: DatapathPins) throws(BPFError) -> PolicyTables {
    PolicyTables(outer: try .fromPin(pins.map(.policy)), innerCapacity: 0)
  }
}

extension IPCache {
  /// The pinned table of an instance, for those who only read.
  public static func pinned(_ pins: DatapathPins) throws(BPFError) -> IPCache {
    IPCache(map: try .fromPin(pins.map(.ipcache)))
  }
}

extension ConnectionTable {
  /// The pinned table of an instance, for those who only read.
  public static func pinned(_ pins: DatapathPins) throws(BPFError) -> ConnectionTable {
    ConnectionTable(map: try .fromPin(pins.map(.connections)))
  }
}
