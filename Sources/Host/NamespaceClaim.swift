/// Something of a network namespace that one instance has and no other can have beside it.
struct NamespaceClaim: Hashable, Sendable {
  enum Kind: String, CaseIterable {
    /// The path of the state directory, for people; its end may be missing.
    case state
    /// Blocks of addresses.
    case pods, services, balancers
    /// A device to the outside.
    case device
    /// A TCP port on which the instance listens.
    case port
  }

  let instance: String
  let kind: Kind
  let value: String

  static let prefix = "martlet/"

  init(_ instance: String, _ kind: Kind, _ value: String) {
    self.instance = instance
    self.kind = kind
    self.value = value
  }

  /// nil for what is no claim.
  init?(name: String) {
    guard name.hasPrefix(NamespaceClaim.prefix) else { return nil }
    let parts = name.dropFirst(NamespaceClaim.prefix.count).split(separator: "/", maxSplits: 1)
    guard parts.count == 2, let equals = parts[1].firstIndex(of: "="),
      let kind = Kind(rawValue: String(parts[1][..<equals]))
    else { return nil }
    self.init(String(parts[0]), kind, String(parts[1][parts[1].index(after: equals)...]))
  }

  /// The abstract name that stands for it.
  var name: String { "\(NamespaceClaim.prefix)\(instance)/\(kind.rawValue)=\(value)" }
}

extension [NamespaceClaim] {
  /// An instance, as people call it.
  func holder(_ instance: String) -> String {
    let directory = first { $0.instance == instance && $0.kind == .state }?.value
    return "the `martlet up` with the state directory \(directory ?? "of the number \(instance)")"
  }
}
