import Addressing
import BPF
import CMartletABI
import KernelABI
import Services

/// The kernel's tables of services: see martlet_services.h.
public struct ServiceMaps: Sendable {
  let frontends: BPFMap<martlet_frontend_key, martlet_frontend>
  let services: BPFMap<UInt32, martlet_service>
  let slots: BPFMap<martlet_slot_key, UInt32>
  let maglev: MapOfMaps<UInt32>
  let backends: BPFMap<UInt32, martlet_backend>
  let ranges: BPFMap<martlet_source_range_key, UInt8>
  let affinity: BPFMap<martlet_affinity_key, martlet_affinity>
  let peers: BPFMap<martlet_socket_peer_key, martlet_socket_peer>

  /// The map that is known by this name in the kernel.
  public init(_ map: (MapName) throws -> RawMap) throws {
    frontends = try BPFMap(map(.frontends))
    services = try BPFMap(map(.services))
    slots = try BPFMap(map(.serviceSlots))
    maglev = try MapOfMaps(map(.maglev))
    backends = try BPFMap(map(.backends))
    ranges = try BPFMap(map(.sourceRanges))
    affinity = try BPFMap(map(.affinity))
    peers = try BPFMap(map(.socketPeers))
  }

  func store(maglevSize: Int) -> KernelServiceStore { KernelServiceStore(maps: self, maglevSize: maglevSize) }
}
