/// A version of the Container Network Interface specification that the plugin speaks.
/// Source: https://www.cni.dev/docs/spec/
public enum CNIVersion: String, Sendable, Hashable, CaseIterable, Comparable {
  case v0_3_1 = "0.3.1"
  case v0_4_0 = "0.4.0"
  case v1_0_0 = "1.0.0"
  case v1_1_0 = "1.1.0"

  /// The version of answers to callers who named none that is known.
  public static let current = CNIVersion.v1_1_0

  public static func < (left: CNIVersion, right: CNIVersion) -> Bool {
    left.order < right.order
  }

  private var order: Int {
    switch self {
    case .v0_3_1: 0
    case .v0_4_0: 1
    case .v1_0_0: 2
    case .v1_1_0: 3
    }
  }
}
