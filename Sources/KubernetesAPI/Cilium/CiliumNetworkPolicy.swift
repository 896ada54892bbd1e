import JSON

/// `cilium.io/v2` CiliumNetworkPolicy: rules about the pods of one namespace.
public struct CiliumNetworkPolicy: KubernetesObject {
  public static let resource = ResourceType(
    group: "cilium.io", version: "v2", plural: "ciliumnetworkpolicies", kind: "CiliumNetworkPolicy", namespaced: true)

  public let metadata: ObjectMeta
  /// That of `spec`, then those of `specs`.
  public let rules: [CiliumRule]

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    (metadata, rules) = try decodePolicy(cursor, Self.resource)
  }
}

/// `cilium.io/v2` CiliumClusterwideNetworkPolicy: rules about pods of all namespaces, or about nodes.
public struct CiliumClusterwideNetworkPolicy: KubernetesObject {
  public static let resource = ResourceType(
    group: "cilium.io", version: "v2", plural: "ciliumclusterwidenetworkpolicies",
    kind: "CiliumClusterwideNetworkPolicy", namespaced: false)

  public let metadata: ObjectMeta
  /// That of `spec`, then those of `specs`.
  public let rules: [CiliumRule]

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    (metadata, rules) = try decodePolicy(cursor, Self.resource)
  }
}

private func decodePolicy(
  _ cursor: JSONCursor, _ resource: ResourceType
) throws(FieldError) -> (ObjectMeta, [CiliumRule]) {
  try cursor.expect(resource)
  try cursor.allowOnly(["apiVersion", "kind", "metadata", "spec", "specs", "status"])
  let metadata = try ObjectMeta(of: cursor, namespaced: resource.namespaced)
  var rules: [CiliumRule] = []
  if let spec = try cursor.member("spec") {
    rules.append(try CiliumRule(spec, clusterwide: !resource.namespaced))
  }
  rules +=
    try cursor.list("specs") { (spec) throws(FieldError) in
      try CiliumRule(spec, clusterwide: !resource.namespaced)
    } ?? []
  guard !rules.isEmpty else { throw cursor.error("needs spec or specs") }
  return (metadata, rules)
}
