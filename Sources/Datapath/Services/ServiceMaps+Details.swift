import Addressing
import BPF
import CMartletABI
import KernelABI
import Services

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A backend, read from the maps.
public struct BackendListing: Hashable, Sendable {
  public let number: UInt32
  public let address: BackendAddress
  public let `protocol`: TransportProtocol
  public let isLocal: Bool
  /// How many slots it has, in all tables; 0 for one that gets no new connections.
  public let slots: Int
}

/// A client that keeps its backend, read from the maps.
public struct AffinityListing: Hashable, Sendable {
  /// nil for one that was balanced at its socket.
  public let client: IPAddress?
  /// Which network namespace it is then, by its cookie.
  public let namespaceCookie: UInt64?
  public let service: UInt32
  public let backend: UInt32
  /// nil for a backend that has gone: the client gets another one.
  public let address: BackendAddress?
  /// Seconds since its last connection.
  public let idle: UInt32
  /// Until it is forgotten; 0 for one that is.
  public let secondsLeft: UInt32
}

/// A Maglev table, read from the maps.
public struct MaglevListing: Hashable, Sendable {
  public struct Share: Hashable, Sendable {
    public let backend: UInt32
    /// nil for a number that leads nowhere.
    public let address: BackendAddress?
    public let entries: Int
  }

  public let service: UInt32
  /// Its entries.
  public let size: Int
  /// By the backends' numbers.
  public let shares: [Share]
}

extension ServiceMaps {
  /// All backends, by their numbers.
  public func backendListing() throws -> [BackendListing] {
    var counts: [UInt32: Int] = [:]
    try slots.forEachEntry { counts[$1, default: 0] += 1 }
    return try backendsByNumber().sorted { $0.key < $1.key }.map { number, backend in
      BackendListing(
        number: number, address: backend.address, protocol: backend.protocol, isLocal: backend.isLocal,
        slots: counts[number] ?? 0)
    }
  }

  /// Every client that the kernel remembers, the latest first.
  public func affinityListing() throws -> [AffinityListing] {
    let backends = try backendsByNumber()
    var times: [UInt32: UInt32] = [:]
    try services.forEachEntry { times[$0] = $1.affinity }
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    var found: [AffinityListing] = []
    try affinity.forEachEntry { key, entry in
      let idle = UInt32(truncatingIfNeeded: now.tv_sec) &- entry.last_used
      let time = times[key.service] ?? 0
      found.append(
        AffinityListing(
          client: key.at_socket == 0 ? IPAddress(key.client) : nil,
          namespaceCookie: key.at_socket == 0 ? nil : key.client.lo, service: key.service, backend: entry.backend,
          address: backends[entry.backend]?.address, idle: idle, secondsLeft: time > idle ? time - idle : 0))
    }
    return found.sorted { ($0.idle, $0.service, $0.backend) < ($1.idle, $1.service, $1.backend) }
  }

  /// All Maglev tables, by their services' numbers.
  public func maglevListing(pins: DatapathPins) throws -> [MaglevListing] {
    let configuration = try BPFMap<UInt32, martlet_config>.fromPin(pins.map(.configuration))
    let size = Int(try configuration.lookup(0)?.maglev_size ?? 0)
    let backends = try backendsByNumber()
    return try maglev.entries().map(\.0).sorted().compactMap { service in
      guard let bytes = try maglev.inner(service)?.lookup([0, 0, 0, 0]) else { return nil }
      let counts = KernelServiceStore.numbers(bytes, size).reduce(into: [:]) { $0[$1, default: 0] += 1 }
      return MaglevListing(
        service: service, size: size,
        shares: counts.sorted { $0.key < $1.key }.map {
          MaglevListing.Share(backend: $0.key, address: backends[$0.key]?.address, entries: $0.value)
        })
    }
  }

  private func backendsByNumber() throws -> [UInt32: KernelBackend] {
    var found: [UInt32: KernelBackend] = [:]
    try backends.forEachEntry { found[$0] = KernelBackend($1) }
    return found
  }
}
