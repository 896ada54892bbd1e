/// The network that the runtime of workloads attaches its pods to.
public enum WorkloadNetwork {
  /// Of the runtime's own: a garbage collection of a network that a user has named does not reach the runtime's pods.
  public static let name = "martlet.run"
}
