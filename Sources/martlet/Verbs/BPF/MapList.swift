import ArgumentParser
import Datapath
import JSON

struct MapList: KernelList {
  static let configuration = list("map", "The maps, their sizes and what they hold.")

  @OptionGroup var options: KernelListOptions

  func rows() throws -> [MapSummary] { try options.pins.mapSummaries() }

  static func document(_ map: MapSummary) -> JSONValue {
    [
      "id": .integer(Int64(map.id)), "name": .string(map.name), "type": .string(map.type),
      "entries": map.entries.map { .integer(Int64($0)) } ?? .null,
      "maxEntries": .integer(Int64(map.maxEntries)), "bytes": .integer(Int64(map.bytes)),
    ]
  }

  static func table(_ maps: [MapSummary], wide: Bool) -> Table {
    var table = Table("ID", "NAME", "TYPE", "ENTRIES", "MAX", "MEMORY")
    for map in maps {
      table.add(
        String(map.id), map.name, map.type, map.entries.map(String.init) ?? "-", String(map.maxEntries),
        "\(map.bytes / 1024) KiB")
    }
    table.add("", "total", "", "", "", "\(maps.reduce(0) { $0 + $1.bytes } / 1024) KiB")
    return table
  }
}
