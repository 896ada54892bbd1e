/// Whether packets that only turn round at the node are sent on by XDP, in the words that users of Cilium know
/// (`loadBalancer.acceleration`); its `testing-only` is `generic` here.
public enum Acceleration: String, Sendable, Hashable, CaseIterable {
  case disabled
  /// Where the device's driver can; elsewhere by traffic control, as without.
  case bestEffort = "best-effort"
  /// By the device's driver; that one can not is a fault.
  case native
  /// On every device, after the driver: to try it, not for speed.
  case generic
}
