import Addressing
import Flows
import JSON

/// The query of `GET /v1/flows`: lists are joined by commas.
enum FlowQuery {
  static func filter(_ query: [String: String]) throws(FieldError) -> FlowFilter {
    var filter = FlowFilter()
    for (name, text) in query {
      let items = text.split(separator: ",").map(String.init)
      switch name {
      case "pod": filter.pods = items
      case "fromPod": filter.sourcePods = items
      case "toPod": filter.destinationPods = items
      case "namespace": filter.namespaces = items
      case "service": filter.services = items
      case "protocol": filter.protocols = items
      case "method": filter.httpMethods = items
      case "traceID": filter.traceIDs = items
      case "verdict":
        filter.verdicts = try items.map { item throws(FieldError) in try parse(item, name, Flow.Verdict.init) }
      case "dropReason":
        filter.dropReasons = try items.map { item throws(FieldError) in try parse(item, name, DropReason.number) }
      case "port": filter.ports = try items.map { item throws(FieldError) in try parse(item, name) { UInt16($0) } }
      case "address": filter.addresses = try items.map { item throws(FieldError) in try parse(item, name) { CIDR($0) } }
      case "httpStatus":
        filter.httpStatus = try items.map { item throws(FieldError) in try parse(item, name) { HTTPStatusRange($0) } }
      case "since": filter.since = try parse(text, name) { UInt64($0) }
      case "until": filter.until = try parse(text, name) { UInt64($0) }
      case "last", "follow": break
      default: throw FieldError(path: name, message: "unknown filter")
      }
    }
    return filter
  }

  private static func parse<Value>(_ text: String, _ name: String, _ read: (String) -> Value?) throws(FieldError)
    -> Value
  {
    guard let value = read(text) else { throw FieldError(path: name, message: "\"\(text)\" is not valid") }
    return value
  }

  /// Hubble's JSON, with the line for people beside it.
  static func document(_ flow: Flow) -> JSONValue {
    var document = flow.json
    document["line"] = .string(flow.line)
    return document
  }
}
