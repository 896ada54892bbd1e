import Addressing
import BPF
import CMartletABI
import KernelABI
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
  private let writes: AddressWrites

  init(pins: String, writes: AddressWrites = AddressWrites()) throws(BPFError) {
    self.writes = writes
    pin = MapName.ipcache.pin(in: pins)
    let map: Map = try .fromPin(pin)
    current = Mutex(map)
  }

  func reopen() {
    guard let map = try? Map.fromPin(pin) else { return }
    current.withLock { $0 = map }
  }

  private var map: Map { current.withLock { $0 } }

  func identity(_ address: IPAddress) -> UInt32? { (try? map.lookup(martlet_ipcache_key(CIDR(address))))?.identity }

  func set(_ address: IPAddress, identity: UInt32) -> Bool {
    defer { writes.note() }
    return (try? map.update(martlet_ipcache_key(CIDR(address)), martlet_ipcache_entry(identity: identity, flags: 0)))
      != nil
  }
}

/// How often this process has written identities of addresses.
final class AddressWrites: Sendable {
  private let written = Atomic<UInt32>(0)

  var count: UInt32 { written.load(ordering: .acquiring) }

  func note() { written.wrappingAdd(1, ordering: .releasing) }

  private let others = Atomic<Int>(0)

  /// Whether another proxy may write too, which is not counted here: while one takes the other's place.
  var hasOthers: Bool { others.load(ordering: .acquiring) > 0 }

  func otherCame() { others.add(1, ordering: .acquiringAndReleasing) }

  func otherWent() {
    note()
    others.subtract(1, ordering: .acquiringAndReleasing)
  }
}
