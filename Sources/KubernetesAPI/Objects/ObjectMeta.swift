import JSON
import Labels

/// The part of `metadata` that the mesh uses (Kubernetes API reference, ObjectMeta).
public struct ObjectMeta: Hashable, Sendable {
  public var name: String
  /// nil for cluster-scoped kinds.
  public var namespace: String?
  /// Empty before the server has stored the object.
  public var uid: String
  /// Opaque; empty before the server has stored the object.
  public var resourceVersion: String
  /// Counts changes of the desired state; 0 when the server gives none.
  public var generation: Int64
  public var labels: LabelSet
  public var annotations: [String: String]
  /// RFC 3339; nil before the server has stored the object.
  public var creationTimestamp: String?
  /// RFC 3339; set while the object waits for its finalizers.
  public var deletionTimestamp: String?
  public var finalizers: [String]
  public var ownerReferences: [OwnerReference]

  public init(
    name: String, namespace: String? = nil, uid: String = "", resourceVersion: String = "", generation: Int64 = 0,
    labels: LabelSet = [:], annotations: [String: String] = [:], creationTimestamp: String? = nil,
    deletionTimestamp: String? = nil, finalizers: [String] = [], ownerReferences: [OwnerReference] = []
  ) {
    self.name = name
    self.namespace = namespace
    self.uid = uid
    self.resourceVersion = resourceVersion
    self.generation = generation
    self.labels = labels
    self.annotations = annotations
    self.creationTimestamp = creationTimestamp
    self.deletionTimestamp = deletionTimestamp
    self.finalizers = finalizers
    self.ownerReferences = ownerReferences
  }

  public var isBeingDeleted: Bool { deletionTimestamp != nil }
}

/// The object on whose existence another one depends.
public struct OwnerReference: Hashable, Sendable {
  public let apiVersion: String
  public let kind: String
  public let name: String
  public let uid: String
  public let controller: Bool

  public init(apiVersion: String, kind: String, name: String, uid: String, controller: Bool = false) {
    self.apiVersion = apiVersion
    self.kind = kind
    self.name = name
    self.uid = uid
    self.controller = controller
  }
}

extension ObjectMeta {
  /// Decodes the `metadata` of the object at `object`. A namespaced object without a namespace lives in `default`, as
  /// kubectl has it for files.
  public init(of object: JSONCursor, namespaced: Bool) throws(FieldError) {
    let metadata = try object.required("metadata")
    self.init(
      name: try metadata.required("name").string(),
      namespace: namespaced ? try metadata.member("namespace")?.string() ?? "default" : nil,
      uid: try metadata.member("uid")?.string() ?? "",
      resourceVersion: try metadata.member("resourceVersion")?.string() ?? "",
      generation: try metadata.member("generation")?.integer() ?? 0,
      labels: try metadata.stringMap("labels"),
      annotations: try metadata.stringMap("annotations"),
      creationTimestamp: try metadata.member("creationTimestamp")?.string(),
      deletionTimestamp: try metadata.member("deletionTimestamp")?.string(),
      finalizers: try metadata.strings("finalizers") ?? [],
      ownerReferences: try metadata.list("ownerReferences", OwnerReference.init) ?? [])
  }
}

extension OwnerReference {
  init(_ cursor: JSONCursor) throws(FieldError) {
    self.init(
      apiVersion: try cursor.required("apiVersion").string(), kind: try cursor.required("kind").string(),
      name: try cursor.required("name").string(), uid: try cursor.required("uid").string(),
      controller: try cursor.member("controller")?.bool() ?? false)
  }
}
