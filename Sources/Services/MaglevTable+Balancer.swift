public import Balancing

/// The tables by which the datapath chooses a Service's backends.
public typealias MaglevTable = Balancing.MaglevTable

extension MaglevTable {
  /// For each entry, the index in `members` of its backend. `members` must be in the order of ``Balancer/members``.
  public static func build(_ members: [Balancer.Member], size: Int) -> [Int32] {
    build(
      members.map { Seat($0.backend.address, port: $0.backend.port, weight: $0.weight) }, size: size)
  }
}
