import JSON

/// A kind of object that the mesh reads, as a typed value over the document it was decoded from.
public protocol KubernetesObject: Hashable, Sendable {
  static var resource: ResourceType { get }
  var metadata: ObjectMeta { get }
  /// Decodes the object at `cursor`; the error names the field that is wrong.
  init(decoding cursor: JSONCursor) throws(FieldError)
}

extension KubernetesObject {
  public init(_ value: JSONValue) throws(FieldError) { try self.init(decoding: JSONCursor(value)) }

  public var key: ObjectKey {
    ObjectKey(kind: Self.resource.kind, namespace: metadata.namespace, name: metadata.name)
  }
}

extension ObjectKey {
  /// The key of any object document; nil without a name. `kind` stands in where the document has none, as in the items
  /// of a list.
  public init?(of object: JSONValue, kind: String) {
    guard let name = object[path: "metadata", "name"]?.stringValue else { return nil }
    self.init(
      kind: object["kind"]?.stringValue ?? kind, namespace: object[path: "metadata", "namespace"]?.stringValue,
      name: name)
  }
}
