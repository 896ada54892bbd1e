import JSON

extension Schema {
  /// Reads `openAPIV3Schema` of a CustomResourceDefinition. What is not understood is ignored, as an API server that
  /// lacks a feature would.
  convenience init(openAPI json: JSONValue) {
    let isIntOrString = json["x-kubernetes-int-or-string"]?.boolValue ?? false
    let type = json["type"]?.stringValue.flatMap(SchemaType.init(rawValue:))
    var rules = SchemaRules(type: isIntOrString ? .intOrString : type ?? .any)
    rules.description = json["description"]?.stringValue ?? ""
    rules.preservesUnknown = json["x-kubernetes-preserve-unknown-fields"]?.boolValue ?? false
    rules.isEmbeddedResource = json["x-kubernetes-embedded-resource"]?.boolValue ?? false
    rules.properties = json["properties"]?.objectValue?.mapValues { Schema(openAPI: $0) } ?? [:]
    rules.required = json["required"]?.arrayValue?.compactMap(\.stringValue) ?? []
    if let additional = json["additionalProperties"] {
      if additional.objectValue != nil {
        rules.additionalProperties = Schema(openAPI: additional)
      } else if additional.boolValue == true {
        rules.additionalProperties = .any
      }
    }
    rules.items = json["items"].map { Schema(openAPI: $0) }
    switch json["x-kubernetes-list-type"]?.stringValue {
    case "set": rules.listType = .set
    case "map":
      rules.listType = .map(keys: json["x-kubernetes-list-map-keys"]?.arrayValue?.compactMap(\.stringValue) ?? [])
    default: rules.listType = .atomic
    }
    rules.isAtomicMap = json["x-kubernetes-map-type"]?.stringValue == "atomic"
    rules.enumeration = json["enum"]?.arrayValue ?? []
    rules.pattern = json["pattern"]?.stringValue
    rules.format = json["format"]?.stringValue
    rules.minimum = json["minimum"]?.doubleValue
    rules.maximum = json["maximum"]?.doubleValue
    rules.exclusiveMinimum = json["exclusiveMinimum"]?.boolValue ?? false
    rules.exclusiveMaximum = json["exclusiveMaximum"]?.boolValue ?? false
    rules.multipleOf = json["multipleOf"]?.doubleValue
    func count(_ key: String) -> Int? { json[key]?.integerValue.flatMap(Int.init(exactly:)) }
    rules.minLength = count("minLength")
    rules.maxLength = count("maxLength")
    rules.minItems = count("minItems")
    rules.maxItems = count("maxItems")
    rules.minProperties = count("minProperties")
    rules.maxProperties = count("maxProperties")
    rules.uniqueItems = json["uniqueItems"]?.boolValue ?? false
    rules.defaultValue = json["default"]
    rules.isNullable = json["nullable"]?.boolValue ?? false
    func list(_ key: String) -> [Schema] { json[key]?.arrayValue?.map { Schema(openAPI: $0) } ?? [] }
    rules.allOf = list("allOf")
    // The alternatives of an int-or-string only repeat what the extension says.
    rules.anyOf = isIntOrString ? [] : list("anyOf")
    rules.oneOf = list("oneOf")
    rules.not = json["not"].map { Schema(openAPI: $0) }
    self.init(rules)
  }

  /// The schema as OpenAPI v3 JSON. Named types become references; `components` collects them.
  func openAPI(components: inout [String: JSONValue], prefix: String) -> JSONValue {
    guard let name = rules.name else { return inlineOpenAPI(components: &components, prefix: prefix) }
    let component = prefix + name
    if components[component] == nil {
      components[component] = .object([:])
      components[component] = inlineOpenAPI(components: &components, prefix: prefix)
    }
    let reference: JSONValue = ["$ref": .string("#/components/schemas/\(component)")]
    return ["allOf": [reference], "default": [:], "description": .string(rules.description)]
  }

  func inlineOpenAPI(components: inout [String: JSONValue], prefix: String) -> JSONValue {
    var json: [String: JSONValue] = [:]
    switch rules.type {
    case .any: break
    case .intOrString:
      if rules.format == "quantity" {
        json["oneOf"] = [["type": "string"], ["type": "number"]]
      } else {
        json["format"] = "int-or-string"
        json["oneOf"] = [["type": "integer"], ["type": "string"]]
        json["x-kubernetes-int-or-string"] = true
      }
    default: json["type"] = .string(rules.type.rawValue)
    }
    if !rules.description.isEmpty { json["description"] = .string(rules.description) }
    if !rules.properties.isEmpty {
      var properties: [String: JSONValue] = [:]
      for (key, schema) in rules.properties {
        properties[key] = schema.openAPI(components: &components, prefix: prefix)
      }
      json["properties"] = .object(properties)
    }
    if !rules.required.isEmpty { json["required"] = .array(rules.required.map(JSONValue.string)) }
    if let additional = rules.additionalProperties {
      json["additionalProperties"] = additional.openAPI(components: &components, prefix: prefix)
    }
    if let items = rules.items { json["items"] = items.openAPI(components: &components, prefix: prefix) }
    writeListType(into: &json)
    writeLimits(into: &json)
    return .object(json)
  }

  private func writeListType(into json: inout [String: JSONValue]) {
    if rules.preservesUnknown { json["x-kubernetes-preserve-unknown-fields"] = true }
    if rules.isAtomicMap { json["x-kubernetes-map-type"] = "atomic" }
    guard rules.type == .array else {
      if rules.retainsKeys { json["x-kubernetes-patch-strategy"] = "retainKeys" }
      return
    }
    switch rules.listType {
    case .atomic: json["x-kubernetes-list-type"] = "atomic"
    case .set:
      json["x-kubernetes-list-type"] = "set"
      json["x-kubernetes-patch-strategy"] = "merge"
    case .map(let keys):
      json["x-kubernetes-list-type"] = "map"
      json["x-kubernetes-list-map-keys"] = .array(keys.map(JSONValue.string))
      json["x-kubernetes-patch-strategy"] = rules.retainsKeys ? "merge,retainKeys" : "merge"
      json["x-kubernetes-patch-merge-key"] = .string(keys.first ?? "name")
    }
  }

  private func writeLimits(into json: inout [String: JSONValue]) {
    if !rules.enumeration.isEmpty { json["enum"] = .array(rules.enumeration) }
    if let pattern = rules.pattern { json["pattern"] = .string(pattern) }
    if let format = rules.format, format != "quantity" { json["format"] = .string(format) }
    func write(_ key: String, _ limit: Double?) {
      if let limit { json[key] = Int64(exactly: limit).map(JSONValue.integer) ?? .number(limit) }
    }
    write("minimum", rules.minimum)
    write("maximum", rules.maximum)
    write("minLength", rules.minLength.map(Double.init))
    write("maxLength", rules.maxLength.map(Double.init))
    write("minItems", rules.minItems.map(Double.init))
    write("maxItems", rules.maxItems.map(Double.init))
    if let value = rules.defaultValue { json["default"] = value }
    if rules.isNullable { json["nullable"] = true }
  }
}

extension JSONValue {
  var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }
}
