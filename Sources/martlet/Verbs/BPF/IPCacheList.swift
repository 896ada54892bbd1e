import Addressing
import ArgumentParser
import Datapath
import Identity
import JSON

struct IPCacheList: KernelList {
  static let configuration = list("ipcache", "Which identity an address outside of this node's pods has.")

  @OptionGroup var options: KernelListOptions

  func rows() throws -> [(block: CIDR, identity: NumericIdentity)] { try IPCache.pinned(options.pins).entries() }

  static func document(_ row: (block: CIDR, identity: NumericIdentity)) -> JSONValue {
    ["cidr": .string(row.block.description), "identity": .integer(Int64(row.identity.rawValue))]
  }

  static func table(_ rows: [(block: CIDR, identity: NumericIdentity)], wide: Bool) -> Table {
    var table = Table("CIDR", "IDENTITY")
    for row in rows { table.add(row.block.description, row.identity.description) }
    return table
  }
}
