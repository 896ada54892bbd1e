import Addressing
import BPF
import CMartletABI
import KernelABI
import Services

/// Which Services this node's backends may answer for directly: the map `martlet_direct_returns`.
struct DirectReturnTable: Sendable {
  let map: BPFMap<martlet_direct_return, UInt8>

  /// The most entries it can hold.
  var capacity: Int { Int(map.info.maxEntries) }

  /// Makes the map hold just these.
  ///
  /// - Throws: E2BIG when it is full.
  func reconcile(_ wanted: Set<DirectReturn>) throws(BPFError) {
    let present = try entries()
    try remove(present.subtracting(wanted))
    try add(wanted.subtracting(present))
  }

  func add(_ returns: Set<DirectReturn>) throws(BPFError) { try map.update(returns.map { ($0.entry, 1) }) }

  /// What is not there is no error.
  func remove(_ returns: Set<DirectReturn>) throws(BPFError) { try map.delete(returns.map(\.entry)) }

  func entries() throws(BPFError) -> Set<DirectReturn> {
    var found: Set<DirectReturn> = []
    try map.forEachEntry { entry, _ in found.insert(DirectReturn(entry)) }
    return found
  }
}

extension DirectReturn {
  var entry: martlet_direct_return {
    martlet_direct_return(
      frontend: martlet_addr(frontend.address), backend: martlet_addr(backend.address),
      frontend_port: frontend.port.bigEndian, backend_port: backend.port.bigEndian,
      protocol: frontend.protocol.rawValue, pad: (0, 0, 0))
  }

  init(_ entry: martlet_direct_return) {
    self.init(
      frontend: FrontendKey(
        address: IPAddress(entry.frontend), port: UInt16(bigEndian: entry.frontend_port),
        protocol: TransportProtocol(entry.protocol)),
      backend: BackendAddress(address: IPAddress(entry.backend), port: UInt16(bigEndian: entry.backend_port)))
  }
}
