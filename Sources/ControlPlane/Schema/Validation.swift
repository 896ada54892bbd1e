import JSON

/// Checks a value against a schema and collects what is wrong, in Kubernetes' words.
struct Validator {
  private(set) var causes: [APIStatus.Cause] = []

  static func causes(_ value: JSONValue, _ schema: Schema, at path: FieldPath = .root) -> [APIStatus.Cause] {
    var validator = Validator()
    validator.check(value, schema, path)
    return validator.causes
  }

  mutating func check(_ value: JSONValue, _ schema: Schema, _ path: FieldPath) {
    let rules = schema.rules
    if value.isNull, rules.isNullable { return }
    guard hasType(value, rules, path) else { return }
    if !rules.enumeration.isEmpty, !rules.enumeration.contains(value) {
      let supported = rules.enumeration.map { $0.text() }.joined(separator: ", ")
      add("FieldValueNotSupported", path, "Unsupported value: \(value.text()): supported values: \(supported)")
    }
    switch value {
    case .string(let text): check(text, rules, path)
    case .integer, .number: checkNumber(value, rules, path)
    case .array(let elements): check(elements, rules, path)
    case .object(let members): check(members, schema, path)
    default: break
    }
    checkAlternatives(value, rules, path)
  }

  private mutating func add(_ reason: String, _ path: FieldPath, _ message: String) {
    causes.append(.init(reason: reason, message: message, field: path.description.isEmpty ? "<nil>" : path.description))
  }

  private mutating func invalid(_ value: JSONValue, _ path: FieldPath, _ why: String) {
    add("FieldValueInvalid", path, "Invalid value: \(Validator.shown(value)): \(why)")
  }

  private static func shown(_ value: JSONValue) -> String {
    switch value {
    case .object, .array: "\"\(value.typeName)\""
    default: value.text()
    }
  }

  private mutating func hasType(_ value: JSONValue, _ rules: SchemaRules, _ path: FieldPath) -> Bool {
    let isRight: Bool =
      switch (rules.type, value) {
      case (.any, _), (.string, .string), (.integer, .integer), (.number, .integer), (.number, .number),
        (.boolean, .bool), (.object, .object), (.array, .array), (.intOrString, .integer), (.intOrString, .string):
        true
      case (.intOrString, .number): rules.format == "quantity"
      case (.integer, .number(let number)): Int64(exactly: number) != nil
      default: false
      }
    if !isRight {
      let name = path.description.isEmpty ? "" : "\(path) in body "
      invalid(
        rules.type == .string || value.isNull ? value : .string(value.typeName), path,
        "\(name)must be of type \(rules.type.rawValue): \"\(value.typeName)\"")
    }
    return isRight
  }

  private mutating func check(_ text: String, _ rules: SchemaRules, _ path: FieldPath) {
    if let limit = rules.minLength, text.unicodeScalars.count < limit {
      invalid(.string(text), path, "\(path) in body should be at least \(limit) chars long")
    }
    if let limit = rules.maxLength, text.unicodeScalars.count > limit {
      add("FieldValueTooLong", path, "Too long: may not be more than \(limit) bytes")
    }
    if let pattern = rules.pattern, !Patterns.matches(text, pattern) {
      invalid(.string(text), path, "\(path) in body should match '\(pattern)'")
    }
    if let format = rules.format, !Formats.isValid(text, format: format) {
      invalid(.string(text), path, "\(path) in body must be of type \(format): \"\(text)\"")
    }
  }

  private mutating func checkNumber(_ value: JSONValue, _ rules: SchemaRules, _ path: FieldPath) {
    guard let number = value.doubleValue else { return }
    func shown(_ limit: Double) -> String { Int64(exactly: limit).map { String($0) } ?? "\(limit)" }
    if let limit = rules.minimum, rules.exclusiveMinimum ? number <= limit : number < limit {
      let relation = rules.exclusiveMinimum ? "greater than" : "greater than or equal to"
      invalid(value, path, "\(path) in body should be \(relation) \(shown(limit))")
    }
    if let limit = rules.maximum, rules.exclusiveMaximum ? number >= limit : number > limit {
      let relation = rules.exclusiveMaximum ? "less than" : "less than or equal to"
      invalid(value, path, "\(path) in body should be \(relation) \(shown(limit))")
    }
    if let unit = rules.multipleOf, unit > 0, number.remainder(dividingBy: unit) != 0 {
      invalid(value, path, "\(path) in body should be a multiple of \(shown(unit))")
    }
    if rules.format == "int32", Int32(exactly: number) == nil {
      invalid(value, path, "\(path) in body must be of type int32: \"\(value.text())\"")
    }
    if rules.format == "icmp-type", UInt8(exactly: number) == nil {
      invalid(value, path, "\(path) in body should be less than or equal to 255")
    }
  }

  private mutating func check(_ elements: [JSONValue], _ rules: SchemaRules, _ path: FieldPath) {
    if let limit = rules.minItems, elements.count < limit {
      if elements.isEmpty {
        add("FieldValueRequired", path, "Required value")
      } else {
        invalid(.integer(Int64(elements.count)), path, "\(path) in body should have at least \(limit) items")
      }
    }
    if let limit = rules.maxItems, elements.count > limit {
      add("FieldValueTooMany", path, "Too many: \(elements.count): must have at most \(limit) items")
    }
    if let items = rules.items {
      for (index, element) in elements.enumerated() { check(element, items, path.element(index)) }
    }
    checkDuplicates(elements, rules, path)
  }

  private mutating func checkDuplicates(_ elements: [JSONValue], _ rules: SchemaRules, _ path: FieldPath) {
    var seen = Set<String>()
    for (index, element) in elements.enumerated() {
      let key: String?
      switch rules.listType {
      case .atomic: key = rules.uniqueItems ? element.text() : nil
      case .set: key = element.text()
      case .map: key = Schema(rules).elementKey(element)
      }
      guard let key else { continue }
      if !seen.insert(key).inserted {
        add("FieldValueDuplicate", path.element(index), "Duplicate value: \(key)")
      }
    }
  }

  private mutating func check(_ members: [String: JSONValue], _ schema: Schema, _ path: FieldPath) {
    let rules = schema.rules
    for key in rules.required where members[key] == nil {
      add("FieldValueRequired", path.member(key), "Required value")
    }
    if let limit = rules.minProperties, members.count < limit {
      invalid(.object(members), path, "\(path) in body should have at least \(limit) properties")
    }
    if let limit = rules.maxProperties, members.count > limit {
      add("FieldValueTooMany", path, "Too many: \(members.count): must have at most \(limit) items")
    }
    for key in members.keys.sorted() {
      guard let value = members[key], let member = schema.member(key) else { continue }
      let isNamed = rules.properties[key] != nil
      // A null in an optional field is as good as its absence; writers drop them before storing.
      if value.isNull, isNamed, !rules.required.contains(key) { continue }
      check(value, member, path.member(key, ofMap: !isNamed))
    }
  }

  private mutating func checkAlternatives(_ value: JSONValue, _ rules: SchemaRules, _ path: FieldPath) {
    func holds(_ schema: Schema) -> Bool { Validator.causes(value, schema, at: path).isEmpty }
    for schema in rules.allOf { check(value, schema, path) }
    if !rules.anyOf.isEmpty, !rules.anyOf.contains(where: holds) {
      invalid(
        value, path, "\(Validator.name(path)) in body must validate at least one schema (anyOf)" + hint(rules.anyOf))
    }
    if !rules.oneOf.isEmpty, rules.oneOf.count(where: holds) != 1 {
      invalid(
        value, path, "\(Validator.name(path)) in body must validate one and only one schema (oneOf)" + hint(rules.oneOf)
      )
    }
    if let not = rules.not, holds(not) {
      invalid(value, path, "\(Validator.name(path)) in body must not validate the schema (not)")
    }
  }

  private static func name(_ path: FieldPath) -> String { path.description.isEmpty ? "\"\"" : path.description }

  /// Names the members that alternatives ask for.
  private func hint(_ alternatives: [Schema]) -> String {
    let names = alternatives.flatMap(\.rules.required)
    return names.isEmpty ? "" : ": " + names.joined(separator: ", ")
  }
}
