import JSON

/// Collects what is wrong with an object, in the words of Kubernetes' `field.Error`.
struct FieldCauses {
  private(set) var list: [APIStatus.Cause] = []

  mutating func add(_ reason: String, _ field: String, _ message: String) {
    list.append(.init(reason: reason, message: message, field: field))
  }

  mutating func invalid(_ field: String, _ value: JSONValue?, _ why: String) {
    add("FieldValueInvalid", field, "Invalid value: \((value ?? .null).text()): \(why)")
  }

  mutating func required(_ field: String, _ why: String = "") {
    add("FieldValueRequired", field, why.isEmpty ? "Required value" : "Required value: \(why)")
  }

  mutating func forbidden(_ field: String, _ why: String) {
    add("FieldValueForbidden", field, "Forbidden: \(why)")
  }

  mutating func duplicate(_ field: String, _ value: JSONValue) {
    add("FieldValueDuplicate", field, "Duplicate value: \(value.text())")
  }

  mutating func notSupported(_ field: String, _ value: JSONValue, _ known: [String]) {
    let supported = known.map { "\"\($0)\"" }.joined(separator: ", ")
    add("FieldValueNotSupported", field, "Unsupported value: \(value.text()): supported values: \(supported)")
  }

  /// A list of strings as messages of the API server show it.
  static func goList(_ texts: [String]) -> String {
    texts.isEmpty ? "[]string(nil)" : "[]string{" + texts.map { "\"\($0)\"" }.joined(separator: ", ") + "}"
  }
}
