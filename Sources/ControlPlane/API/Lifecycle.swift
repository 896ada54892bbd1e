import Clocks
import JSON

/// How objects end: graceful pods, finalizers, owners, namespaces. Runs inside of one write, so nobody sees half of it.
enum Lifecycle {
  static let definitions = "customresourcedefinitions.apiextensions.k8s.io"

  enum Propagation: Sendable { case background, orphan }

  static func requireNamespace(
    _ namespace: String, for resource: Resource, _ name: String, _ transaction: inout StoreTransaction
  ) throws {
    let key = ObjectKey(resource: "namespaces", namespace: "", name: namespace)
    guard let object = transaction.object(key) else {
      var status = APIStatus(code: 404, reason: "NotFound", message: "namespaces \"\(namespace)\" not found")
      status.name = namespace
      status.kind = "namespaces"
      throw status
    }
    if try object.value()["metadata"]?["deletionTimestamp"] != nil {
      var status = APIStatus.forbidden(
        resource, name,
        "unable to create new content in namespace \(namespace) because it is being terminated")
      status.causes = [
        .init(
          reason: "NamespaceTerminating", message: "namespace \(namespace) is being terminated",
          field: "metadata.namespace")
      ]
      throw status
    }
  }

  /// Asks an object to end. Returns its state when it still has something to do first, nil when it is gone.
  static func end(
    _ key: ObjectKey, gracePeriod: Int? = nil, _ propagation: Propagation = .background,
    isPartOfContainer: Bool = false,
    registry: Registry, _ transaction: inout StoreTransaction
  ) throws -> StoredObject? {
    guard let object = transaction.object(key) else { return nil }
    guard let resource = registry.storage(of: key.resource) else {
      transaction.delete(key, lastState: try object.value(), selectable: [])
      return nil
    }
    var value = try object.value()
    let isEnding = value["metadata"]?["deletionTimestamp"] != nil
    if propagation == .orphan { try orphan(object.uid, registry: registry, &transaction) }
    let grace = podGracePeriod(value, key, asked: gracePeriod)
    let contents = contents(of: key, value, &transaction)
    if isEnding {
      let before = value["metadata"]?["deletionGracePeriodSeconds"]?.integerValue ?? 0
      if grace > 0, grace >= before { return object }
    }
    let waits = grace > 0 || !finalizers(value).isEmpty || !contents.isEmpty
    guard waits else {
      try remove(key, value, isPartOfContainer: isPartOfContainer, registry: registry, &transaction)
      return nil
    }
    value.set(
      ["metadata", "deletionTimestamp"], to: .string(Timestamp.text(seconds: Timestamp.seconds() + Int(grace))))
    value.set(["metadata", "deletionGracePeriodSeconds"], to: .integer(grace))
    if key.resource == "namespaces" { value.set(["status", "phase"], to: "Terminating") }
    let stored = transaction.put(key, value, selectable: resource.selectable)
    for inner in contents {
      _ = try end(inner, isPartOfContainer: true, registry: registry, &transaction)
    }
    // The last of the contents may have taken the container with it.
    if !contents.isEmpty { try finishIfReleased(key, registry: registry, &transaction) }
    return transaction.object(key) == nil ? nil : stored
  }

  /// Removes an object that was asked to end and has nothing left to wait for.
  static func finishIfReleased(
    _ key: ObjectKey, registry: Registry, _ transaction: inout StoreTransaction
  ) throws {
    guard let object = transaction.object(key), object.isBeingDeleted else { return }
    let value = try object.value()
    guard finalizers(value).isEmpty,
      value["metadata"]?["deletionGracePeriodSeconds"]?.integerValue ?? 0 == 0,
      contents(of: key, value, &transaction).isEmpty
    else { return }
    try remove(key, value, registry: registry, &transaction)
  }

  private static func remove(
    _ key: ObjectKey, _ value: JSONValue, isPartOfContainer: Bool = false, registry: Registry,
    _ transaction: inout StoreTransaction
  ) throws {
    let uid = transaction.object(key)?.uid ?? ""
    transaction.delete(key, lastState: value, selectable: registry.storage(of: key.resource)?.selectable ?? [])
    for dependent in transaction.dependents(of: uid) {
      try release(dependent, from: uid, registry: registry, &transaction)
    }
    // Whoever empties a container looks once at the end whether it is empty.
    if isPartOfContainer { return }
    if !key.namespace.isEmpty {
      let namespace = ObjectKey(resource: "namespaces", namespace: "", name: key.namespace)
      try finishIfReleased(namespace, registry: registry, &transaction)
    }
    let definition = ObjectKey(resource: definitions, namespace: "", name: key.resource)
    if transaction.object(definition) != nil {
      try finishIfReleased(definition, registry: registry, &transaction)
    }
  }

  /// Takes an owner off an object; without another owner the object ends.
  private static func release(
    _ key: ObjectKey, from uid: String, registry: Registry, _ transaction: inout StoreTransaction
  ) throws {
    guard let object = transaction.object(key), let resource = registry.storage(of: key.resource) else { return }
    var value = try object.value()
    let others = (value["metadata"]?["ownerReferences"]?.arrayValue ?? []).filter { reference in
      guard let other = reference["uid"]?.stringValue, other != uid else { return false }
      guard let kind = reference["kind"]?.stringValue, let version = reference["apiVersion"]?.stringValue,
        let owner = registry.resource(apiVersion: version, kind: kind), let name = reference["name"]?.stringValue
      else { return true }
      return transaction.object(owner.key(namespace: key.namespace, name: name))?.uid == other
    }
    if others.isEmpty {
      _ = try end(key, registry: registry, &transaction)
    } else {
      value.set(["metadata", "ownerReferences"], to: .array(others))
      transaction.put(key, value, selectable: resource.selectable)
    }
  }

  private static func orphan(_ uid: String, registry: Registry, _ transaction: inout StoreTransaction) throws {
    for key in transaction.dependents(of: uid) {
      guard let object = transaction.object(key), let resource = registry.storage(of: key.resource) else { continue }
      var value = try object.value()
      let others = (value["metadata"]?["ownerReferences"]?.arrayValue ?? []).filter { $0["uid"]?.stringValue != uid }
      value.set(["metadata", "ownerReferences"], to: others.nonEmpty.map(JSONValue.array))
      transaction.put(key, value, selectable: resource.selectable)
    }
  }

  private static func finalizers(_ value: JSONValue) -> [JSONValue] {
    value["metadata"]?["finalizers"]?.arrayValue ?? []
  }

  /// What has to go before this object does: all of a namespace, all objects of a defined kind.
  private static func contents(
    of key: ObjectKey, _ value: JSONValue, _ transaction: inout StoreTransaction
  ) -> [ObjectKey] {
    switch key.resource {
    case "namespaces": transaction.keys(inNamespace: key.name)
    case definitions: transaction.keys(ofResource: key.name)
    default: []
    }
  }

  /// Seconds that a pod may take: a pod on a node ends when its node says so.
  private static func podGracePeriod(_ value: JSONValue, _ key: ObjectKey, asked: Int?) -> Int64 {
    guard key.resource == "pods", !(value.scalarText(at: ["spec", "nodeName"]) ?? "").isEmpty,
      !["Succeeded", "Failed"].contains(value.scalarText(at: ["status", "phase"]) ?? "")
    else { return 0 }
    return Int64(asked ?? Int(value["spec"]?["terminationGracePeriodSeconds"]?.integerValue ?? 30))
  }
}
