import Addressing
import CMartletABI
import Flows
import Identity
import Policy

/// One end of a flow with a policy on this node, as an ``AuditBook`` is asked about it.
struct AuditedSide: Hashable {
  let subject: NumericIdentity
  let direction: Direction
  let peer: NumericIdentity
  let ipProtocol: UInt8
  let port: UInt16
}

extension Flow {
  /// The ends whose policies decide here and that audited policies select.
  func sides(_ book: AuditBook) -> [AuditedSide] {
    // A pod that reaches itself by a Service is judged by no policy.
    if source.id != 0 && source.id == destination.id || Flow.hairpins.contains(source.address) { return [] }
    return Policy.Direction.allCases.reversed().compactMap { direction in
      let (end, other) = direction == .egress ? (source, destination) : (destination, source)
      let subject = NumericIdentity(rawValue: end.identity)
      guard book.watches(subject), end.isHere else { return nil }
      return AuditedSide(
        subject: subject, direction: direction,
        peer: book.identity(NumericIdentity(rawValue: other.identity), at: other.address), ipProtocol: ipProtocol,
        port: TransportProtocol(ipProtocol).isICMP ? UInt16(icmpType) : destination.port)
    }
  }

  private static let hairpins = [
    IPAddress(v4: MARTLET_HAIRPIN_IPV4), IPAddress(high: MARTLET_HAIRPIN_IPV6_HI, low: MARTLET_HAIRPIN_IPV6_LO),
  ]
}

extension Flow.Endpoint {
  /// A pod of this node, or the node. Pods elsewhere have no name here, though they may have the identity of one.
  fileprivate var isHere: Bool { id != 0 || !pod.isEmpty || identity == ReservedIdentity.host.rawValue }
}
