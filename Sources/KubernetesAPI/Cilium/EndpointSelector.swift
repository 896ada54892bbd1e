import JSON
import Labels

/// The key of a label as Cilium writes it: `k8s:app`, `reserved:world`, or `app` for a label of any source.
public struct LabelKey: Hashable, Sendable, CustomStringConvertible {
  /// `k8s`, `reserved`, …; `any` matches labels of every source.
  public let source: String
  public let name: String

  public static let anySource = "any"

  public init(source: String = LabelKey.anySource, name: String) {
    self.source = source
    self.name = name
  }

  /// Splits at the first colon; text without one has the source `any`.
  public init(_ text: some StringProtocol) {
    if let colon = text.firstIndex(of: ":") {
      let source = String(text[..<colon])
      self.init(source: source.isEmpty ? LabelKey.anySource : source, name: String(text[text.index(after: colon)...]))
    } else {
      self.init(name: String(text))
    }
  }

  /// Always with its source: `any:app`.
  public var description: String { "\(source):\(name)" }
}

/// Selects endpoints (or nodes) by their labels. All requirements must hold, and one without any, written `{}`, selects
/// everything within its scope: for a namespaced policy the pods of the policy's namespace.
public struct EndpointSelector: Hashable, Sendable {
  public struct Requirement: Hashable, Sendable {
    public let key: LabelKey
    public let operation: LabelRequirement.Operation
    /// `spec.ingress[0].fromEndpoints[0].matchLabels[k8s:app]`.
    public let path: String

    public init(key: LabelKey, operation: LabelRequirement.Operation, path: String = "") {
      self.key = key
      self.operation = operation
      self.path = path
    }
  }

  public let requirements: [Requirement]
  public let path: String

  public init(_ requirements: [Requirement], path: String = "") {
    self.requirements = requirements
    self.path = path
  }

  /// True for `{}`.
  public var selectsEverything: Bool { requirements.isEmpty }
}

extension EndpointSelector {
  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["matchLabels", "matchExpressions"])
    var requirements: [Requirement] = []
    if let labels = try cursor.member("matchLabels") {
      for (key, value) in try labels.members() {
        requirements.append(
          Requirement(
            key: try LabelSyntax.key(key, at: value), operation: .in([try LabelSyntax.value(value)]), path: value.path))
      }
    }
    requirements += try cursor.list("matchExpressions", Requirement.init(expression:)) ?? []
    self.init(requirements, path: cursor.path)
  }
}

extension EndpointSelector.Requirement {
  init(expression cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["key", "operator", "values"])
    let key = try cursor.required("key")
    let name = try cursor.required("operator")
    let values = try cursor.list("values", LabelSyntax.value) ?? []
    let operation: LabelRequirement.Operation
    switch try name.string() {
    case "In": operation = .in(Set(values))
    case "NotIn": operation = .notIn(Set(values))
    case "Exists": operation = .exists
    case "DoesNotExist": operation = .doesNotExist
    case let other: throw name.error("must be In, NotIn, Exists or DoesNotExist, is \"\(other)\"")
    }
    switch operation {
    case .in, .notIn:
      guard !values.isEmpty else { throw cursor.error("operator \(try name.string()) needs values") }
    case .exists, .doesNotExist:
      guard values.isEmpty else { throw cursor.error("operator \(try name.string()) takes no values") }
    }
    self.init(key: try LabelSyntax.key(try key.string(), at: key), operation: operation, path: cursor.path)
  }
}

extension EndpointSelector {
  /// Reads a selector on its own, out of an object that can not be read as a whole.
  public init(decoding cursor: JSONCursor) throws(FieldError) { try self.init(cursor) }
}
