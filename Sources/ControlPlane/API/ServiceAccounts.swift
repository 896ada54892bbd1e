import JSON

/// The accounts that pods run as. Runs inside of the write that needs them.
enum ServiceAccounts {
  /// The account of pods that name none.
  static let standard = "default"

  /// Gives a namespace the account of pods that name none.
  static func furnish(namespace: String, registry: Registry, _ transaction: inout StoreTransaction) throws {
    guard let resource = registry.resource(group: "", version: "v1", plural: "serviceaccounts") else { return }
    let key = resource.key(namespace: namespace, name: standard)
    guard transaction.object(key) == nil else { return }
    var account: JSONValue = [
      "apiVersion": "v1", "kind": "ServiceAccount",
      "metadata": ["name": .string(standard), "namespace": .string(namespace)],
    ]
    ServerFields.initialize(&account, resource)
    transaction.put(key, account, selectable: resource.selectable)
  }

  /// Refuses a pod whose account is not there, in the words of Kubernetes' admission (plugin ServiceAccount). The one
  /// of pods that name none is made again where somebody has deleted it.
  static func require(
    _ pod: JSONValue, for pods: Resource, registry: Registry, isDryRun: Bool, _ transaction: inout StoreTransaction
  ) throws {
    guard let resource = registry.resource(group: "", version: "v1", plural: "serviceaccounts") else { return }
    let namespace = pod.scalarText(at: ["metadata", "namespace"]) ?? ""
    let account = pod.scalarText(at: ["spec", "serviceAccountName"]) ?? standard
    if account == standard {
      if !isDryRun { try furnish(namespace: namespace, registry: registry, &transaction) }
      return
    }
    guard transaction.object(resource.key(namespace: namespace, name: account)) == nil else { return }
    throw APIStatus.forbidden(
      pods, pod.scalarText(at: ["metadata", "name"]) ?? "",
      "error looking up service account \(namespace)/\(account): serviceaccount \"\(account)\" not found")
  }
}
