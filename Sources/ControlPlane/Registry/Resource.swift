import JSON

/// A served kind in one version.
struct Resource: Sendable {
  var group: String
  var version: String
  var kind: String
  var plural: String
  var singular: String
  var shortNames: [String] = []
  var categories: [String] = []
  var isNamespaced: Bool
  var schema: Schema
  var hasStatus = false
  var columns: [PrinterColumn] = []
  /// The paths that field selectors may name besides metadata.name and metadata.namespace.
  var selectable: [[String]] = []
  /// Defined by a CustomResourceDefinition: no strategic merge patch, and conversion only changes the version's name.
  var isCustom = false
  /// The version in which objects are kept.
  var storageVersion: String
  /// Only `create` is served, and nothing is stored.
  var isReview = false

  var groupVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
  var storageGroupVersion: String { group.isEmpty ? storageVersion : "\(group)/\(storageVersion)" }
  /// How messages and the store name it: `pods`, `networkpolicies.networking.k8s.io`.
  var qualifiedName: String { group.isEmpty ? plural : "\(plural).\(group)" }
  var listKind: String { kind + "List" }

  func key(namespace: String, name: String) -> ObjectKey {
    ObjectKey(resource: qualifiedName, namespace: isNamespaced ? namespace : "", name: name)
  }
}

/// A column of a table that `kubectl get` prints.
struct PrinterColumn: Sendable {
  var name: String
  var type = "string"
  var format = ""
  var description = ""
  /// Columns above 0 appear with `-o wide` only.
  var priority = 0
  /// The cell of an object; `now` in seconds since 1970.
  var cell: @Sendable (_ object: JSONValue, _ now: Int) -> JSONValue
}
