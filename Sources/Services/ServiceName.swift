import KubernetesAPI

/// A Service's place in the cluster.
public struct ServiceName: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let namespace: String
  public let name: String

  public init(namespace: String, name: String) {
    self.namespace = namespace
    self.name = name
  }

  init(_ metadata: ObjectMeta) { self.init(namespace: metadata.namespace ?? "default", name: metadata.name) }

  init(_ key: ObjectKey) { self.init(namespace: key.namespace ?? "default", name: key.name) }

  public var description: String { "\(namespace)/\(name)" }

  public static func < (left: ServiceName, right: ServiceName) -> Bool {
    (left.namespace, left.name) < (right.namespace, right.name)
  }
}
