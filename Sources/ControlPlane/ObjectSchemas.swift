import JSON

/// What the API server demands of an object's form, for those who want to know before they send it: the schemas that it
/// serves, and the same checks.
public struct ObjectSchemas: Sendable {
  /// The resources by `apiVersion` and `kind`.
  private let resources: [String: Resource]
  private let kinds: Set<String>

  public init() throws {
    let builtin = try BuiltinResources()
    let custom = CiliumResources.customResourceDefinitions(schemas: builtin.cilium).flatMap {
      CustomResources.resources(definition: $0, objectMeta: builtin.objectMeta)
    }
    let all = builtin.resources + custom
    resources = Dictionary(all.map { (ObjectSchemas.name($0.groupVersion, $0.kind), $0) }) { first, _ in first }
    kinds = Set(all.map(\.kind))
  }

  /// Everything that the server would refuse in an object, each with its path; a field that it does not know too, as with
  /// `kubectl apply`'s strict validation. nil for a kind that this server does not serve.
  public func problems(_ object: JSONValue) -> [FieldError]? {
    guard let kind = object["kind"]?.stringValue, let version = object["apiVersion"]?.stringValue else {
      return ["apiVersion", "kind"].filter { object[$0]?.stringValue == nil }.map {
        FieldError(path: $0, message: "required")
      }
    }
    guard let resource = resources[ObjectSchemas.name(version, kind)] else {
      guard kinds.contains(kind) else { return nil }
      return [FieldError(path: "apiVersion", message: "there is no \(kind) in version \"\(version)\"")]
    }
    var value = object
    var problems = Shaping.prune(&value, resource.schema).map { FieldError(path: $0, message: "unknown field") }
    Shaping.applyDefaults(&value, resource.schema)
    var causes = Names.causes(metadata: value["metadata"])
    if let name = value.scalarText(at: ["metadata", "name"]) {
      causes += Names.causes(name: name, resource)
    } else {
      problems.append(FieldError(path: "metadata.name", message: "required"))
    }
    causes += Validator.causes(value, resource.schema).filter { $0.field != "metadata.name" }
    return problems + causes.map { FieldError(path: $0.field == "<nil>" ? "" : $0.field, message: $0.message) }
  }

  private static func name(_ version: String, _ kind: String) -> String { "\(version) \(kind)" }
}
