import CMartletABI

/// Who answers clients outside whose backend is on another node, in Cilium's words (`loadBalancer.mode`).
public enum LoadBalancerMode: String, Sendable, Hashable, CaseIterable {
  /// This node, with whose address the backend is asked.
  case snat
  /// The backend's node, straight to the client, with whose address the backend is asked.
  case dsr
  /// TCP as by `dsr`, UDP as by `snat`.
  case hybrid

  var flags: UInt32 {
    switch self {
    case .snat: 0
    case .dsr: MARTLET_CONFIG_DSR_TCP.rawValue | MARTLET_CONFIG_DSR_UDP.rawValue
    case .hybrid: MARTLET_CONFIG_DSR_TCP.rawValue
    }
  }
}
