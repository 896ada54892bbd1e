import BPF
import CMartletABI

/// What the programs count, summed over the processors.
public struct DatapathCounters: Sendable {
  let metrics: PerCPUMap<UInt32, martlet_counter>
  let lost: PerCPUMap<UInt32, UInt64>

  public struct Row: Hashable, Sendable {
    /// 0: forwarded; else Hubble's drop reason.
    public let reason: UInt8
    public let isEgress: Bool
    public let packets: UInt64
    public let bytes: UInt64
  }

  /// The rows that counted anything, without what XDP sent on.
  public func rows() throws(BPFError) -> [Row] {
    var rows: [Row] = []
    for index in 0..<UInt32(MARTLET_METRICS_ENTRIES) where index / 2 != UInt32(MARTLET_METRICS_XDP) {
      guard let values = try metrics.lookup(index) else { continue }
      let packets = values.reduce(0) { $0 &+ $1.packets }
      guard packets > 0 else { continue }
      rows.append(
        Row(
          reason: UInt8(index / 2), isEgress: index % 2 == UInt32(ABI.egress), packets: packets,
          bytes: values.reduce(0) { $0 &+ $1.bytes }))
    }
    return rows
  }

  /// Packets counted under one reason, in both directions.
  public func packets(reason: UInt8) throws(BPFError) -> UInt64 {
    var sum: UInt64 = 0
    for direction in [ABI.ingress, ABI.egress] {
      let values = try metrics.lookup(UInt32(reason) * 2 + UInt32(direction)) ?? []
      sum = values.reduce(sum) { $0 &+ $1.packets }
    }
    return sum
  }

  /// Packets that XDP sent on.
  public func sentOnByXDP() throws(BPFError) -> UInt64 { try packets(reason: UInt8(MARTLET_METRICS_XDP)) }

  /// New connections that found no room in the connection table.
  public func refusedConnections() throws(BPFError) -> UInt64 {
    try packets(reason: UInt8(MARTLET_DROP_CT_INSERTION_FAILED.rawValue))
  }

  /// Events that found the ring full.
  public func lostEvents() throws(BPFError) -> UInt64 {
    (try lost.lookup(0) ?? []).reduce(0, &+)
  }
}
