import JSON

/// What a CustomResourceDefinition makes served.
enum CustomResources {
  static func resources(definition: JSONValue, objectMeta: Schema) -> [Resource] {
    guard let spec = definition["spec"], let group = spec["group"]?.stringValue, let names = spec["names"],
      let kind = names["kind"]?.stringValue, let plural = names["plural"]?.stringValue
    else { return [] }
    let versions = spec["versions"]?.arrayValue ?? []
    let storage = versions.first { $0["storage"]?.boolValue == true }?["name"]?.stringValue ?? ""
    func strings(_ key: String) -> [String] { names[key]?.arrayValue?.compactMap(\.stringValue) ?? [] }
    return versions.compactMap { version in
      guard version["served"]?.boolValue == true, let name = version["name"]?.stringValue else { return nil }
      var columns = [BuiltinColumns.name]
      let additional = version["additionalPrinterColumns"]?.arrayValue?.compactMap(PrinterColumn.init(additional:))
      columns += additional ?? [BuiltinColumns.age]
      let fields = version["selectableFields"]?.arrayValue?.compactMap { $0["jsonPath"]?.stringValue } ?? []
      return Resource(
        group: group, version: name, kind: kind, plural: plural,
        singular: names["singular"]?.stringValue ?? kind.lowercased(), shortNames: strings("shortNames"),
        categories: strings("categories"), isNamespaced: spec["scope"] == "Namespaced",
        schema: schema(version, kind: kind, objectMeta: objectMeta),
        hasStatus: version["subresources"]?["status"] != nil, columns: columns,
        selectable: fields.map { $0.split(separator: ".").map(String.init) }, isCustom: true, storageVersion: storage)
    }
  }

  private static func schema(_ version: JSONValue, kind: String, objectMeta: Schema) -> Schema {
    guard let json = version["schema"]?["openAPIV3Schema"] else {
      return Schema(SchemaRules(type: .object, preservesUnknown: true))
    }
    var rules = Schema(openAPI: json).rules
    rules.properties["metadata"] = objectMeta
    rules.properties["apiVersion"] = .string
    rules.properties["kind"] = .string
    return Schema(rules)
  }
}
