import JSON

/// What Kubernetes checks of label selectors beyond their form (apimachinery, ValidateLabelSelector), wherever a kind has one.
enum SelectorValidation {
  static func check(_ value: JSONValue, _ schema: Schema, at path: String = "", _ causes: inout FieldCauses) {
    let rules = schema.rules
    switch value {
    case .array(let elements):
      guard let items = rules.items else { return }
      for (index, element) in elements.enumerated() { check(element, items, at: "\(path)[\(index)]", &causes) }
    case .object(let members):
      let expressions = rules.properties["matchExpressions"]?.rules.items?.rules.properties
      // Selectors of nodes also compare numbers: those say so with their form.
      if expressions?["operator"] != nil, rules.properties["matchLabels"] != nil {
        check(requirements: value["matchExpressions"]?.arrayValue ?? [], "\(path).matchExpressions", &causes)
        return
      }
      for (key, member) in members.sorted(by: { $0.key < $1.key }) {
        guard let known = rules.properties[key] ?? rules.additionalProperties else { continue }
        check(member, known, at: path.isEmpty ? key : "\(path).\(key)", &causes)
      }
    default: break
    }
  }

  private static func check(requirements: [JSONValue], _ path: String, _ causes: inout FieldCauses) {
    for (index, requirement) in requirements.enumerated() {
      let field = "\(path)[\(index)]"
      let hasValues = requirement["values"]?.arrayValue?.isEmpty == false
      switch requirement["operator"]?.stringValue {
      case "In", "NotIn":
        if !hasValues { causes.required("\(field).values", "must be specified when `operator` is 'In' or 'NotIn'") }
      case "Exists", "DoesNotExist":
        if hasValues {
          causes.forbidden("\(field).values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        }
      case let other?:
        causes.invalid("\(field).operator", .string(other), "not a valid selector operator")
      case nil: break
      }
    }
  }
}
