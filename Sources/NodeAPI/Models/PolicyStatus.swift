import JSON

/// What the agent made of a policy object: `GET /v1/policies`.
public struct PolicyStatus: NodeModel {
  public enum State: String, Hashable, Sendable, CaseIterable {
    case accepted
    /// Some of it is not enforced as written; what that selects is denied.
    case partly
    case rejected
    /// It is watched and not enforced: it changes nothing of what is allowed.
    case audited
  }

  /// A field that is not enforced as written, and why.
  public struct Problem: NodeModel {
    public let path: String
    public let message: String

    public init(path: String, message: String) {
      self.path = path
      self.message = message
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(path: try cursor.text("path"), message: try cursor.text("message"))
    }

    public var json: JSONValue { ["path": .string(path), "message": .string(message)] }
  }

  public let kind: String
  /// nil for clusterwide policies.
  public let namespace: String?
  public let name: String
  public let state: State
  public let problems: [Problem]
  /// Endpoints of this node that it selects.
  public let endpointCount: Int
  /// The first revision of the policies in which the kernel enforces it.
  public let revision: Int64

  public init(
    kind: String, namespace: String?, name: String, state: State, problems: [Problem], endpointCount: Int,
    revision: Int64
  ) {
    self.kind = kind
    self.namespace = namespace
    self.name = name
    self.state = state
    self.problems = problems
    self.endpointCount = endpointCount
    self.revision = revision
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(
      kind: try cursor.required("kind").string(), namespace: try cursor.optionalText("namespace"),
      name: try cursor.required("name").string(), state: try cursor.choice("state"),
      problems: try cursor.list("problems", Problem.init(decoding:)),
      endpointCount: try cursor.number("endpointCount"), revision: try cursor.number("revision"))
  }

  public var json: JSONValue {
    .compact([
      "kind": .string(kind), "namespace": .text(namespace), "name": .string(name), "state": .string(state.rawValue),
      "problems": problems.json, "endpointCount": .number(endpointCount), "revision": .number(revision),
    ])
  }
}
