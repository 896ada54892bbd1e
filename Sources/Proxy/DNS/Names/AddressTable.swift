import Addressing
import BPF
import CMartletABI
import Synchronization

/// Where the datapath looks up the identity of an address: the map `martlet_ipcache`, of which the proxy writes entries
/// of single addresses only.
protocol AddressTable: Sendable {
  /// The identity of the longest prefix around an address; nil when there is none.
  func identity(_ address: IPAddress) -> UInt32?
  /// - Returns: false when it could not be written.
  func set(_ address: IPAddress, identity: UInt32) -> Bool
  /// The datapath may have been made anew.
  func reopen()
}

final class IPCacheAddressTable: AddressTable {
  private typealias Map = BPFMap<martlet_ipcache_key, martlet_ipcache_entry>
  private let pin: String
  private let current: Mutex<Map>

  init(pins: String) throws(BPFError) {
    pin = pins + "/martlet_ipcache"
    let map: Map = try .fromPin(pin)
    current = Mutex(map)
  }

  func reopen() {
    guard let map = try? Map.fromPin(pin) else { return }
    current.withLock { $0 = map }
  }

  private var map: Map { current.withLock { $0 } }

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
