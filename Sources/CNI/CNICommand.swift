/// What a container runtime asks for in CNI_COMMAND.
public enum CNICommand: String, Sendable, Hashable, CaseIterable {
  case add = "ADD"
  case delete = "DEL"
  case check = "CHECK"
  case status = "STATUS"
  case collectGarbage = "GC"
  case version = "VERSION"

  /// The first version of the specification that knows the command.
  public var since: CNIVersion {
    switch self {
    case .add, .delete, .version: .v031
    case .check: .v040
    case .status, .collectGarbage: .v110
    }
  }
}
