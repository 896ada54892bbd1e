/// What the API calls a kind of object, and where it lives.
public struct ResourceType: Hashable, Sendable {
  /// Empty for the core group.
  public let group: String
  public let version: String
  /// The name in URLs: `ciliumnetworkpolicies`.
  public let plural: String
  public let kind: String
  public let namespaced: Bool

  public init(group: String, version: String, plural: String, kind: String, namespaced: Bool) {
    self.group = group
    self.version = version
    self.plural = plural
    self.kind = kind
    self.namespaced = namespaced
  }

  /// As objects name it: `v1`, `cilium.io/v2`.
  public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

  /// The URL path of a collection (`name` nil), an object, or a subresource of it. For a namespaced kind a nil
  /// `namespace` means all namespaces.
  public func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
    var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
    if namespaced, let namespace { path += "/namespaces/\(namespace)" }
    path += "/\(plural)"
    if let name { path += "/\(name)" }
    if let subresource { path += "/\(subresource)" }
    return path
  }
}

/// Which object: its kind, its namespace (nil for cluster-scoped kinds) and its name.
public struct ObjectKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let kind: String
  public let namespace: String?
  public let name: String

  public init(kind: String, namespace: String?, name: String) {
    self.kind = kind
    self.namespace = namespace
    self.name = name
  }

  /// `CiliumNetworkPolicy default/l7-rule`.
  public var description: String { "\(kind) \(namespace.map { $0 + "/" } ?? "")\(name)" }

  public static func < (left: ObjectKey, right: ObjectKey) -> Bool {
    (left.kind, left.namespace ?? "", left.name) < (right.kind, right.namespace ?? "", right.name)
  }
}
