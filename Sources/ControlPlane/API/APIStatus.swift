import JSON

/// A Kubernetes `Status` as an error: what kubectl prints when a request is refused.
struct APIStatus: Error, Hashable, Sendable, CustomStringConvertible {
  struct Cause: Hashable, Sendable {
    var reason: String
    var message: String
    var field: String
  }

  var code: Int
  var reason: String
  var message: String
  var name = ""
  var group = ""
  var kind = ""
  var uid = ""
  var causes: [Cause] = []

  init(code: Int, reason: String, message: String) {
    self.code = code
    self.reason = reason
    self.message = message
  }

  var description: String { message }

  var json: JSONValue {
    var details: [String: JSONValue] = [:]
    if !name.isEmpty { details["name"] = .string(name) }
    if !group.isEmpty { details["group"] = .string(group) }
    if !kind.isEmpty { details["kind"] = .string(kind) }
    if !uid.isEmpty { details["uid"] = .string(uid) }
    if !causes.isEmpty {
      details["causes"] = .array(
        causes.map {
          ["reason": .string($0.reason), "message": .string($0.message), "field": .string($0.field)]
        })
    }
    var status: JSONValue = [
      "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": code < 300 ? "Success" : "Failure",
      "code": .integer(Int64(code)),
    ]
    if !message.isEmpty { status["message"] = .string(message) }
    if !reason.isEmpty { status["reason"] = .string(reason) }
    if !details.isEmpty { status["details"] = .object(details) }
    return status
  }
}

extension APIStatus {
  private init(_ code: Int, _ reason: String, _ message: String, _ resource: Resource?, _ name: String) {
    self.init(code: code, reason: reason, message: message)
    self.name = name
    group = resource?.group ?? ""
    kind = resource?.plural ?? ""
  }

  static func badRequest(_ message: String) -> APIStatus {
    APIStatus(code: 400, reason: "BadRequest", message: message)
  }

  static let unauthorized = APIStatus(code: 401, reason: "Unauthorized", message: "Unauthorized")

  static func forbidden(_ resource: Resource, _ name: String, _ why: String) -> APIStatus {
    APIStatus(403, "Forbidden", "\(resource.qualifiedName) \"\(name)\" is forbidden: \(why)", resource, name)
  }

  static let noSuchPath = APIStatus(
    code: 404, reason: "NotFound", message: "the server could not find the requested resource")

  static func notFound(_ resource: Resource, _ name: String) -> APIStatus {
    APIStatus(404, "NotFound", "\(resource.qualifiedName) \"\(name)\" not found", resource, name)
  }

  static let methodNotAllowed = APIStatus(
    code: 405, reason: "MethodNotAllowed", message: "the server does not allow this method on the requested resource")

  static func alreadyExists(_ resource: Resource, _ name: String) -> APIStatus {
    APIStatus(409, "AlreadyExists", "\(resource.qualifiedName) \"\(name)\" already exists", resource, name)
  }

  static func conflict(_ resource: Resource, _ name: String, _ why: String) -> APIStatus {
    APIStatus(
      409, "Conflict", "Operation cannot be fulfilled on \(resource.qualifiedName) \"\(name)\": \(why)", resource, name)
  }

  static func modified(_ resource: Resource, _ name: String) -> APIStatus {
    conflict(
      resource, name,
      "the object has been modified; please apply your changes to the latest version and try again")
  }

  static func expired(_ message: String) -> APIStatus { APIStatus(code: 410, reason: "Expired", message: message) }

  static func tooOld(_ version: UInt64, oldest: UInt64) -> APIStatus {
    expired("too old resource version: \(version) (\(oldest))")
  }

  static func unsupportedMediaType(_ accepted: [String]) -> APIStatus {
    APIStatus(
      code: 415, reason: "UnsupportedMediaType",
      message: "the body of the request was in an unknown format - accepted media types include: "
        + accepted.joined(separator: ", "))
  }

  static func invalid(_ resource: Resource, _ name: String, _ causes: [Cause]) -> APIStatus {
    let list = causes.map { $0.field.isEmpty ? $0.message : "\($0.field): \($0.message)" }
    let text = list.count == 1 ? list[0] : "[" + list.joined(separator: ", ") + "]"
    let kind = resource.group.isEmpty ? resource.kind : "\(resource.kind).\(resource.group)"
    var status = APIStatus(422, "Invalid", "\(kind) \"\(name)\" is invalid: \(text)", resource, name)
    status.kind = resource.kind
    status.causes = causes
    return status
  }

  static func internalError(_ message: String) -> APIStatus {
    APIStatus(code: 500, reason: "InternalError", message: "Internal error occurred: \(message)")
  }
}
