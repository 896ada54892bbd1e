/// Which objects a path names: `/api/v1/namespaces/NS/pods/NAME/status` and its relatives.
struct ResourceTarget: Sendable {
  var resource: Resource
  /// Empty for all namespaces, and for objects of the cluster.
  var namespace = ""
  /// Empty for a collection.
  var name = ""
  var subresource = ""

  var key: ObjectKey { resource.key(namespace: namespace, name: name) }

  init?(path: [String], registry: Registry) {
    var steps = path[...]
    let group: String
    switch steps.popFirst() {
    case "api": group = ""
    case "apis":
      guard let name = steps.popFirst() else { return nil }
      group = name
    default: return nil
    }
    guard let version = steps.popFirst() else { return nil }
    var namespace = ""
    // `namespaces/NS/status` is a namespace itself, `namespaces/NS/pods` is what lives in it.
    if steps.first == "namespaces", steps.count >= 3 {
      let third = steps[steps.startIndex + 2]
      if !(group.isEmpty && ["status", "finalize"].contains(third) && steps.count == 3) {
        namespace = steps[steps.startIndex + 1]
        steps = steps.dropFirst(2)
      }
    }
    guard let plural = steps.popFirst(),
      let resource = registry.resource(group: group, version: version, plural: plural),
      resource.isNamespaced || namespace.isEmpty
    else { return nil }
    self.resource = resource
    self.namespace = namespace
    name = steps.popFirst() ?? ""
    subresource = steps.popFirst() ?? ""
    guard steps.isEmpty else { return nil }
    guard !resource.isNamespaced || name.isEmpty || !namespace.isEmpty else { return nil }
  }
}
