import JSON

/// A class of peers that has a name of its own (Cilium documentation, "Entities based").
public enum CiliumEntity: String, Hashable, Sendable, CaseIterable {
  case all
  case world
  case worldIPv4 = "world-ipv4"
  case worldIPv6 = "world-ipv6"
  case cluster
  case clusterMesh = "cluster-mesh"
  case host
  case initializing = "init"
  case ingress
  case unmanaged
  case remoteNode = "remote-node"
  case health
  case none
  case kubeAPIServer = "kube-apiserver"
}

/// One element of `fromEntities` / `toEntities`.
public struct EntityPeer: Hashable, Sendable {
  public let entity: CiliumEntity
  public let path: String

  public init(entity: CiliumEntity, path: String = "") {
    self.entity = entity
    self.path = path
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    let name = try cursor.string()
    guard let entity = CiliumEntity(rawValue: name) else { throw cursor.error("unsupported entity \"\(name)\"") }
    self.init(entity: entity, path: cursor.path)
  }
}
