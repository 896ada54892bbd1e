import JSON

/// One aspect of an object's observed state (`status.conditions`).
public struct Condition: Hashable, Sendable {
  public let type: String
  /// `True`, `False` or `Unknown`.
  public let status: String
  public let reason: String
  public let message: String
  /// RFC 3339; empty when not known.
  public let lastTransitionTime: String

  public init(type: String, status: String, reason: String, message: String, lastTransitionTime: String = "") {
    self.type = type
    self.status = status
    self.reason = reason
    self.message = message
    self.lastTransitionTime = lastTransitionTime
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    self.init(
      type: try cursor.required("type").string(), status: try cursor.required("status").string(),
      reason: try cursor.member("reason")?.string() ?? "", message: try cursor.member("message")?.string() ?? "",
      lastTransitionTime: try cursor.member("lastTransitionTime")?.string() ?? "")
  }

  /// As an element of `status.conditions`.
  public var json: JSONValue {
    var value: JSONValue = [
      "type": .string(type), "status": .string(status), "reason": .string(reason), "message": .string(message),
    ]
    if !lastTransitionTime.isEmpty { value["lastTransitionTime"] = .string(lastTransitionTime) }
    return value
  }
}
