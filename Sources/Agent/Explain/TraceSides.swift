import Datapath
import NodeAPI
import Policy

/// What each end's policy said of a traced connection, in the order in which they are asked.
struct TraceSides: Hashable {
  struct Side: Hashable {
    let direction: Direction
    let outcome: TraceResult.Verdict
    /// The author; 0 where no rule decided.
    let rule: UInt32
    /// It is allowed for the sake of audit mode alone.
    var isAudited = false
  }

  let sides: [Side]

  /// `from` and `to`: whether that end is a pod of this node, or the node when it has a policy.
  init(verdict: TraceVerdict, from: Bool, to: Bool) {
    func outcome(_ direction: Direction) -> TraceResult.Verdict {
      if direction == .egress, verdict.egressProxyRules != 0 { return .redirected }
      guard verdict.direction == direction else { return .allowed }
      return verdict.dropReason != 0 ? .denied : verdict.verdict == .proxy ? .redirected : .allowed
    }
    var sides: [Side] = []
    func side(_ direction: Direction, _ rule: UInt32) -> Side {
      let isAudited = verdict.audited.contains(direction)
      return Side(
        direction: direction, outcome: isAudited ? .allowed : outcome(direction), rule: rule, isAudited: isAudited)
    }
    if from { sides.append(side(.egress, verdict.egressRule)) }
    // A drop on egress leaves nothing to say about ingress.
    if to, sides.first?.outcome != .denied {
      sides.append(side(.ingress, verdict.ingressRule))
    }
    self.sides = sides
  }
}
