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
    if from { sides.append(Side(direction: .egress, outcome: outcome(.egress), rule: verdict.egressRule)) }
    // A drop on egress leaves nothing to say about ingress.
    if to, sides.first?.outcome != .denied {
      sides.append(Side(direction: .ingress, outcome: outcome(.ingress), rule: verdict.ingressRule))
    }
    self.sides = sides
  }
}
