import Labels

/// What a list or a watch asks for.
struct ObjectFilter: Sendable {
  struct FieldRequirement: Sendable {
    let field: String
    let value: String
    let isEqual: Bool
  }

  var namespace: String?
  var name: String?
  var labels = LabelSelector.everything
  var fields: [FieldRequirement] = []

  func matches(_ object: StoredObject) -> Bool {
    if let namespace, object.key.namespace != namespace { return false }
    if let name, object.key.name != name { return false }
    for requirement in fields where (value(requirement.field, of: object) == requirement.value) != requirement.isEqual {
      return false
    }
    return labels.requirements.isEmpty || labels.matches(object.labels)
  }

  private func value(_ field: String, of object: StoredObject) -> String {
    switch field {
    case "metadata.name": object.key.name
    case "metadata.namespace": object.key.namespace
    default: object.fields[field] ?? ""
    }
  }

  /// Parses `a=b,c!=d`. Throws for a field that the resource does not offer.
  static func parseFields(_ text: String, offered: Set<String>) throws(APIStatus) -> [FieldRequirement] {
    var result: [FieldRequirement] = []
    for part in text.split(separator: ",") {
      let isEqual = part.firstRange(of: "!=") == nil
      guard let sign = part.firstRange(of: "!=") ?? part.firstRange(of: "==") ?? part.firstRange(of: "=") else {
        throw .badRequest("Unable to find \"\(text)\": invalid selector: '\(part)'; can't understand '\(part)'")
      }
      let field = String(part[..<sign.lowerBound])
      guard offered.contains(field) || field == "metadata.name" || field == "metadata.namespace" else {
        throw .badRequest("field label not supported: \(field)")
      }
      result.append(FieldRequirement(field: field, value: String(part[sign.upperBound...]), isEqual: isEqual))
    }
    return result
  }
}
