import Addressing
import BPF
import Services

/// What the kernel has of a frontend, read from the maps.
public struct FrontendListing: Hashable, Sendable {
  public struct Backend: Hashable, Sendable {
    public let number: UInt32
    /// nil for a number that leads nowhere.
    public let address: BackendAddress?
    public let isLocal: Bool
    /// How many of the service's slots it has.
    public let slots: Int
  }

  public struct Balancing: Hashable, Sendable {
    public let number: UInt32
    /// Seconds; 0 for none.
    public let affinity: UInt32
    /// `maglev`, `source-ranges`, `keep-source`, `drop`, and `listener=7` where the proxy's listener routes.
    public let flags: [String]
    /// In the order of their numbers.
    public let backends: [Backend]
    public let sourceRanges: [CIDR]
  }

  public let key: FrontendKey
  public let kinds: FrontendKinds
  /// For clients of the cluster; nil where its number leads nowhere.
  public let cluster: Balancing?
  /// For everybody else; nil where this is no frontend for them.
  public let external: Balancing?
}

extension ServiceMaps {
  /// The maps of an instance that are pinned, also while no agent runs.
  public static func fromPins(_ pins: DatapathPins) throws -> ServiceMaps {
    try ServiceMaps { try RawMap.fromPin(pins.map($0)) }
  }

  /// All frontends, by their keys.
  public func listing() throws -> [FrontendListing] {
    let content = try store(maglevSize: 0).content()
    return content.frontends.sorted { $0.key < $1.key }.map { key, frontend in
      FrontendListing(
        key: key, kinds: frontend.kinds, cluster: content.balancing(frontend.service),
        external: frontend.external == 0 ? nil : content.balancing(frontend.external))
    }
  }
}

extension ServiceMapsContent {
  fileprivate func balancing(_ number: UInt32) -> FrontendListing.Balancing? {
    guard let service = services[number] else { return nil }
    let counts = (slots[service.table] ?? []).reduce(into: [:]) { $0[$1, default: 0] += 1 }
    let names: [(KernelService.Flags, String)] = [
      (.maglev, "maglev"), (.sourceRanges, "source-ranges"), (.keepSource, "keep-source"), (.drop, "drop"),
    ]
    return FrontendListing.Balancing(
      number: number, affinity: service.affinity,
      flags: names.filter { service.flags.contains($0.0) }.map(\.1)
        + (service.listener == 0 ? [] : ["listener=\(service.listener)"]),
      backends: counts.sorted { $0.key < $1.key }.map { backend, slots in
        FrontendListing.Backend(
          number: backend, address: backends[backend]?.address, isLocal: backends[backend]?.isLocal ?? false,
          slots: slots)
      },
      sourceRanges: (ranges[number] ?? []).sorted())
  }
}
