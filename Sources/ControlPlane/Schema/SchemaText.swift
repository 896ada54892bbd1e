import JSON

/// Why a text in the compact schema notation can not be read. Such texts are part of the program, so this is a mistake
/// in the program, found by the tests.
struct SchemaTextError: Error, CustomStringConvertible {
  let line: String
  let reason: String
  var description: String { "schema notation: \(reason) in \"\(line)\"" }
}

/// Reads the compact notation in which the built-in types are written.
///
///     type PolicyPort exactlyOne(port,name)   # A port.
///       port!: string pattern=@port           # `!` marks a required field.
///       ranges: [Range] keys=start maxItems=4 # A list merged by its key.
///       labels: {string}                      # A map.
///     pattern port = ^[0-9]+$
///
/// Scalars: `string int int32 int64 number bool intOrString quantity time any object`. `enum(a,b)`, `min=`, `max=`,
/// `minLength=`, `maxLength=`, `format=` and `pattern=@name` apply to the innermost value; `keys=`, `set`, `minItems=`,
/// `maxItems=`, `atomic`, `nullable`, `retainKeys` and `default=` to the field. A type may say `exactlyOne(a,b)`,
/// `anyOf(a,b)`, `open` (keeps unknown fields) and `atomic`.
struct SchemaText {
  private struct Definition {
    var header: String
    var description: String
    var fields: [String] = []
  }

  private var definitions: [String: Definition] = [:]
  private var patterns: [String: String] = [:]
  private var resolved: [String: Schema] = [:]

  init(_ texts: [String]) throws(SchemaTextError) {
    for text in texts {
      var current: String?
      for line in text.split(separator: "\n") {
        let trimmed = line.drop { $0 == " " }
        if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
        if trimmed.hasPrefix("pattern ") {
          let parts = trimmed.dropFirst(8).split(separator: " ", maxSplits: 2)
          guard parts.count == 3 else { throw SchemaTextError(line: String(line), reason: "incomplete pattern") }
          patterns[String(parts[0])] = String(parts[2])
        } else if trimmed.hasPrefix("type ") {
          let (code, comment) = SchemaText.splitComment(String(trimmed.dropFirst(5)))
          let words = code.split(separator: " ", maxSplits: 1)
          guard let name = words.first.map(String.init) else {
            throw SchemaTextError(line: String(line), reason: "type without a name")
          }
          definitions[name] = Definition(header: words.count > 1 ? String(words[1]) : "", description: comment)
          current = name
        } else if let name = current {
          definitions[name]?.fields.append(String(trimmed))
        } else {
          throw SchemaTextError(line: String(line), reason: "field outside of a type")
        }
      }
    }
  }

  mutating func schema(_ name: String) throws(SchemaTextError) -> Schema {
    if let schema = resolved[name] { return schema }
    guard let definition = definitions[name] else { throw SchemaTextError(line: name, reason: "unknown type") }
    var rules = SchemaRules(type: .object)
    rules.name = name
    rules.description = definition.description
    for attribute in definition.header.split(separator: " ") {
      try apply(typeAttribute: String(attribute), to: &rules)
    }
    for field in definition.fields { try add(field: field, to: &rules) }
    let schema = Schema(rules)
    resolved[name] = schema
    return schema
  }

  private func apply(typeAttribute attribute: String, to rules: inout SchemaRules) throws(SchemaTextError) {
    func alternatives() -> [Schema] {
      SchemaText.arguments(attribute).map { key in
        var one = SchemaRules(type: .any)
        one.required = [key]
        return Schema(one)
      }
    }
    switch attribute.prefix(while: { $0 != "(" }) {
    case "exactlyOne": rules.oneOf = alternatives()
    case "anyOf": rules.anyOf = alternatives()
    case "open": rules.preservesUnknown = true
    case "atomic": rules.isAtomicMap = true
    case "embedded":
      rules.isEmbeddedResource = true
      rules.preservesUnknown = true
    default: throw SchemaTextError(line: attribute, reason: "unknown attribute of a type")
    }
  }

  private mutating func add(field: String, to rules: inout SchemaRules) throws(SchemaTextError) {
    let (code, comment) = SchemaText.splitComment(field)
    guard let colon = code.firstRange(of: ": ") else { throw SchemaTextError(line: field, reason: "no type") }
    var name = String(code[..<colon.lowerBound])
    if name.hasSuffix("!") {
      name.removeLast()
      rules.required.append(name)
    }
    let words = code[colon.upperBound...].split(separator: " ").map(String.init)
    guard let type = words.first else { throw SchemaTextError(line: field, reason: "no type") }
    rules.properties[name] = try value(type: type, attributes: Array(words.dropFirst()), description: comment)
  }

  private mutating func value(
    type: String, attributes: [String], description: String
  ) throws(SchemaTextError) -> Schema {
    if type.hasPrefix("[") || type.hasPrefix("{") {
      let isInner: (String) -> Bool = { attribute in
        ["enum(", "min=", "max=", "minLength=", "maxLength=", "format=", "pattern="].contains {
          attribute.hasPrefix($0)
        }
      }
      let inner = try value(
        type: String(type.dropFirst().dropLast()), attributes: attributes.filter(isInner), description: "")
      var rules = SchemaRules(type: type.hasPrefix("[") ? .array : .object)
      if type.hasPrefix("[") { rules.items = inner } else { rules.additionalProperties = inner }
      rules.description = description
      for attribute in attributes where !isInner(attribute) { try apply(attribute, to: &rules) }
      return Schema(rules)
    }
    guard var rules = SchemaText.scalar(type) else {
      let shared = try schema(type)
      guard !attributes.isEmpty || !description.isEmpty else { return shared }
      var rules = shared.rules
      if !description.isEmpty { rules.description = description }
      for attribute in attributes { try apply(attribute, to: &rules) }
      return Schema(rules)
    }
    rules.description = description
    for attribute in attributes { try apply(attribute, to: &rules) }
    return Schema(rules)
  }

  private static func scalar(_ type: String) -> SchemaRules? {
    switch type {
    case "string": return SchemaRules(type: .string)
    case "bool": return SchemaRules(type: .boolean)
    case "number": return SchemaRules(type: .number)
    case "int": return SchemaRules(type: .integer)
    case "int32", "int64":
      var rules = SchemaRules(type: .integer)
      rules.format = type
      return rules
    case "intOrString": return SchemaRules(type: .intOrString)
    case "quantity":
      var rules = SchemaRules(type: .intOrString)
      rules.format = "quantity"
      return rules
    case "time":
      var rules = SchemaRules(type: .string)
      rules.format = "date-time"
      rules.isNullable = true
      return rules
    case "bytes":
      var rules = SchemaRules(type: .string)
      rules.format = "byte"
      return rules
    case "any": return SchemaRules(type: .any, preservesUnknown: true)
    case "object": return SchemaRules(type: .object, preservesUnknown: true)
    default: return nil
    }
  }

  private func apply(_ attribute: String, to rules: inout SchemaRules) throws(SchemaTextError) {
    if attribute.hasPrefix("enum(") {
      rules.enumeration = SchemaText.arguments(attribute).map(JSONValue.string)
      return
    }
    let parts = attribute.split(separator: "=", maxSplits: 1).map(String.init)
    let argument = parts.count > 1 ? parts[1] : ""
    switch parts[0] {
    case "min": rules.minimum = Double(argument)
    case "max": rules.maximum = Double(argument)
    case "minLength": rules.minLength = Int(argument)
    case "maxLength": rules.maxLength = Int(argument)
    case "minItems": rules.minItems = Int(argument)
    case "maxItems": rules.maxItems = Int(argument)
    case "format": rules.format = argument
    case "set": rules.listType = .set
    case "keys": rules.listType = .map(keys: argument.split(separator: ",").map(String.init))
    case "atomic": rules.isAtomicMap = rules.type == .object
    case "nullable": rules.isNullable = true
    case "retainKeys": rules.retainsKeys = true
    case "default":
      rules.defaultValue = (try? JSONValue(parsing: argument)) ?? .string(argument)
    case "pattern":
      guard let pattern = patterns[String(argument.dropFirst())] else {
        throw SchemaTextError(line: attribute, reason: "unknown pattern")
      }
      rules.pattern = pattern
    default: throw SchemaTextError(line: attribute, reason: "unknown attribute")
    }
  }

  private static func arguments(_ attribute: String) -> [String] {
    guard let open = attribute.firstIndex(of: "("), attribute.hasSuffix(")") else { return [] }
    return attribute[attribute.index(after: open)...].dropLast().split(separator: ",").map(String.init)
  }

  private static func splitComment(_ text: String) -> (code: String, comment: String) {
    guard let mark = text.firstRange(of: " # ") else { return (text, "") }
    return (String(text[..<mark.lowerBound]), String(text[mark.upperBound...]))
  }
}
