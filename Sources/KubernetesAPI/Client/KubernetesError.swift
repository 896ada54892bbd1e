import JSON

/// Why a request to the API failed.
public enum KubernetesError: Error, Hashable, Sendable {
  /// What the server said (Kubernetes API conventions, "Response Status Kind").
  case status(code: Int, reason: String, message: String, causes: [StatusCause])
  /// The server was not reached, or the connection broke.
  case transport(String)
  /// The server's answer is not what its API promises.
  case malformed(String)
  /// The server's object can not be decoded as the type that was asked for.
  case undecodable(FieldError)
}

/// One field that the server objects to.
public struct StatusCause: Hashable, Sendable {
  public let field: String
  public let reason: String
  public let message: String

  public init(field: String, reason: String, message: String) {
    self.field = field
    self.reason = reason
    self.message = message
  }
}

extension KubernetesError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .status(let code, let reason, let message, _):
      message.isEmpty ? "the API server answered \(code) \(reason)" : message
    case .transport(let message): "can not reach the API server: \(message)"
    case .malformed(let message): "the API server's answer is malformed: \(message)"
    case .undecodable(let error): "the API server's object can not be decoded: \(error)"
    }
  }

  /// The HTTP status of the server's answer; nil where there was none.
  public var code: Int? {
    if case .status(let code, _, _, _) = self { code } else { nil }
  }

  public var isNotFound: Bool { code == 404 }
  /// The resource version (or a field manager) did not match, or the name is taken.
  public var isConflict: Bool { code == 409 }
  /// The resource version is too old: list again.
  public var isGone: Bool { code == 410 }

  /// Reads a `Status` object; other documents give an error without a reason.
  init(status value: JSONValue, code: Int) {
    let causes = value[path: "details", "causes"]?.arrayValue ?? []
    self = .status(
      code: value["code"]?.integerValue.map { Int($0) } ?? code, reason: value["reason"]?.stringValue ?? "",
      message: value["message"]?.stringValue ?? "",
      causes: causes.map {
        StatusCause(
          field: $0["field"]?.stringValue ?? "", reason: $0["reason"]?.stringValue ?? "",
          message: $0["message"]?.stringValue ?? "")
      })
  }
}
