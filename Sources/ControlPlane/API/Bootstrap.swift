import JSON

extension APIServer {
  /// Stores the objects that every cluster has, brings the cilium.io definitions up to date, and serves them.
  func bootstrap() throws {
    guard let namespaces = registry.resource(group: "", version: "v1", plural: "namespaces"),
      let definitions = registry.resource(
        group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions")
    else { return }
    let registry = registry
    let wanted = CiliumResources.customResourceDefinitions(schemas: builtin.cilium)
    try store.write { transaction in
      for name in ["default", "kube-system", "kube-public"] {
        let key = namespaces.key(namespace: "", name: name)
        if transaction.object(key) == nil {
          var value: JSONValue = [
            "apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(name)],
          ]
          ServerFields.initialize(&value, namespaces)
          transaction.put(key, value, selectable: namespaces.selectable)
        }
        try ServiceAccounts.furnish(namespace: name, registry: registry, &transaction)
      }
      for definition in wanted {
        let key = definitions.key(namespace: "", name: definition.scalarText(at: ["metadata", "name"]) ?? "")
        var value = definition
        if let existing = try transaction.object(key)?.value() {
          value["metadata"] = existing["metadata"]
          value["status"] = existing["status"]
          try CRDAdmission.admit(&value)
          if value == existing { continue }
        } else {
          ServerFields.initialize(&value, definitions)
          try CRDAdmission.admit(&value)
        }
        transaction.put(key, value, selectable: definitions.selectable)
      }
      try services.assignReleased(registry, &transaction, all: true)
    }
    try refreshRegistry()
  }
}
