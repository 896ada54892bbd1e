import BPF
import CMartletABI

/// What passed by connections that a service led to a backend, as whole datagrams.
public struct ServiceVolume: Hashable, Sendable {
  public struct Count: Hashable, Sendable {
    public var packets: UInt64 = 0
    /// From the network header on.
    public var bytes: UInt64 = 0

    public init(packets: UInt64 = 0, bytes: UInt64 = 0) {
      self.packets = packets
      self.bytes = bytes
    }

    mutating func add(_ counter: martlet_counter) {
      packets &+= counter.packets
      bytes &+= counter.bytes
    }

    public static func += (left: inout Count, right: Count) {
      left.packets &+= right.packets
      left.bytes &+= right.bytes
    }
  }

  public var toBackends = Count()
  public var toClients = Count()

  public init() {}

  public static func += (left: inout ServiceVolume, right: ServiceVolume) {
    left.toBackends += right.toBackends
    left.toClients += right.toClients
  }
}

/// What the programs count for each service: the map `martlet_service_traffic`. They make the entries themselves.
public struct ServiceTrafficTable: Sendable {
  let map: PerCPUMap<UInt32, martlet_service_traffic>

  /// By the services' numbers, summed over the processors.
  public func volumes() throws(BPFError) -> [UInt32: ServiceVolume] {
    try map.entries().reduce(into: [:]) { all, entry in all[entry.key] = ServiceVolume(entry.values) }
  }

  /// Takes the counts of a number that means nothing any more out of the map; nil for one that has none.
  public func remove(_ number: UInt32) throws(BPFError) -> ServiceVolume? {
    let last = try map.lookup(number).map { ServiceVolume($0) }
    if last != nil { try map.delete(number) }
    return last
  }
}

extension ServiceVolume {
  fileprivate init(_ values: [martlet_service_traffic]) {
    self.init()
    for value in values {
      toBackends.add(value.there)
      toClients.add(value.back)
    }
  }
}
