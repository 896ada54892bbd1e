/// A version of the Container Network Interface specification that the plugin speaks.
/// Source: https://www.cni.dev/docs/spec/
public enum CNIVersion: String, Sendable, Hashable, CaseIterable, Comparable {
  case v031 = "0.3.1"
  case v040 = "0.4.0"
  case v100 = "1.0.0"
  case v110 = "1.1.0"

  /// The version of answers to callers who named none that is known.
  public static let current = CNIVersion.v110

  public static func < (left: CNIVersion, right: CNIVersion) -> Bool {
    left.order < right.order
  }

  private var order: Int {
    switch self {
    case .v031: 0
    case .v040: 1
    case .v100: 2
    case .v110: 3
    }
  }
}
