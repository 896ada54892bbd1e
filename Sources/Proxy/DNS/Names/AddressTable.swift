import Addressing
import BPF
import CMartletABI

/// Where the datapath looks up the identity of an address: the map `martlet_ipcache`, of which the proxy writes entries
/// of single addresses only.
protocol AddressTable: Sendable {
  /// The identity of the longest prefix around an address; nil when there is none.
  func identity(_ address: IPAddress) -> UInt32?
  /// - Returns: false when it could not be written.
  func set(_ address: IPAddress, identity: UInt32) -> Bool
}

struct IPCacheAddressTable: AddressTable {
  private let map: BPFMap<martlet_ipcache_key, martlet_ipcache_entry>

  init(pins: String) throws(BPFError) { map = try .fromPin(pins + "/martlet_ipcache") }

  func identity(_ address: IPAddress) -> UInt32? { (try? map.lookup(Self.key(address)))?.identity }

  func set(_ address: IPAddress, identity: UInt32) -> Bool {
    (try? map.update(Self.key(address), martlet_ipcache_entry(identity: identity, flags: 0))) != nil
  }

  private static func key(_ address: IPAddress) -> martlet_ipcache_key {
    func word(_ half: UInt64, _ shift: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: half >> shift).bigEndian }
    return martlet_ipcache_key(
      prefix_length: 128,
      address: (word(address.high, 32), word(address.high, 0), word(address.low, 32), word(address.low, 0)))
  }
}
