import JSON

extension APIServer {
  func create(_ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    let resource = target.resource
    let prepared = try prepare(try decode(request, target), request, target)
    return try insert(prepared.value, request, target, resource, warnings: prepared.warnings, operation: nil)
  }

  /// Stores a new object; `operation` describes the fields of a server-side apply.
  func insert(
    _ original: JSONValue, _ request: APIRequest, _ target: ResourceTarget, _ resource: Resource, warnings: [String],
    operation: ApplyOperation?
  ) throws -> APIResponse {
    var value = original
    if resource.isNamespaced {
      let namespace = value.scalarText(at: ["metadata", "namespace"]) ?? target.namespace
      guard !target.namespace.isEmpty else {
        throw APIStatus.badRequest("an empty namespace may not be set during creation")
      }
      guard namespace == target.namespace else {
        throw APIStatus.badRequest(
          "the namespace of the provided object does not match the namespace sent on the request")
      }
      value.set(["metadata", "namespace"], to: .string(target.namespace))
    } else {
      value.set(["metadata", "namespace"], to: nil)
    }
    if (value.scalarText(at: ["metadata", "name"]) ?? "").isEmpty {
      guard let prefix = value.scalarText(at: ["metadata", "generateName"]), !prefix.isEmpty else {
        throw APIStatus.invalid(
          resource, "",
          [
            .init(
              reason: "FieldValueRequired", message: "Required value: name or generateName is required",
              field: "metadata.name")
          ])
      }
      value.set(["metadata", "name"], to: .string(prefix + Identifiers.suffix()))
    }
    if let version = value.scalarText(at: ["metadata", "resourceVersion"]), !version.isEmpty {
      throw APIStatus.badRequest("resourceVersion should not be set on objects to be created")
    }
    ServerFields.initialize(&value, resource)
    try admit(&value, resource, old: nil)
    if let operation {
      ManagedFields.apply(operation, to: &value, live: nil, resource)
    } else {
      ManagedFields.recordUpdate(&value, old: nil, request, target)
    }
    let name = value.scalarText(at: ["metadata", "name"]) ?? ""
    let key = resource.key(namespace: target.namespace, name: name)
    value["apiVersion"] = .string(resource.storageGroupVersion)
    let isDryRun = request.isDryRun
    let registry = registry
    let stored = try write { [value] transaction in
      var value = value
      if resource.isNamespaced {
        try Lifecycle.requireNamespace(target.namespace, for: resource, name, &transaction)
      }
      if resource.qualifiedName == "pods" {
        try ServiceAccounts.require(value, for: resource, registry: registry, isDryRun: isDryRun, &transaction)
      }
      guard transaction.object(key) == nil else { throw APIStatus.alreadyExists(resource, name) }
      if resource.qualifiedName == ServiceStrategy.resource {
        try self.services.allocator.allocate(&value, key, resource, transaction)
      }
      if isDryRun {
        return StoredObject(
          key: key, resourceVersion: transaction.resourceVersion, value: value, selectable: resource.selectable)
      }
      let stored = transaction.put(key, value, selectable: resource.selectable)
      if resource.qualifiedName == "namespaces" {
        try ServiceAccounts.furnish(namespace: name, registry: registry, &transaction)
      }
      return stored
    }
    return try response(stored, request, resource, code: 201, warnings: warnings)
  }

  func update(_ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    let prepared = try prepare(try decode(request, target), request, target)
    if let name = prepared.value.scalarText(at: ["metadata", "name"]), name != target.name {
      throw APIStatus.badRequest(
        "the name of the object (\(name)) does not match the name on the URL (\(target.name))")
    }
    let (stored, _) = try modify(request, target) { _ in prepared.value }
    return try response(stored, request, target.resource, warnings: prepared.warnings)
  }

  /// Replaces a stored object by what `change` makes of it, in one step.
  func modify(
    _ request: APIRequest, _ target: ResourceTarget, operation: ApplyOperation? = nil,
    _ change: (JSONValue) throws -> JSONValue
  ) throws -> (stored: StoredObject, isChanged: Bool) {
    let resource = target.resource
    let isDryRun = request.isDryRun
    let registry = registry
    return try write { transaction -> (StoredObject, Bool) in
      guard let existing = transaction.object(target.key) else { throw APIStatus.notFound(resource, target.name) }
      let old = try self.value(existing, resource)
      var value = try change(old)
      if let version = value.scalarText(at: ["metadata", "resourceVersion"]), !version.isEmpty,
        version != String(existing.resourceVersion)
      {
        throw APIStatus.modified(resource, target.name)
      }
      if let uid = value.scalarText(at: ["metadata", "uid"]), !uid.isEmpty, uid != existing.uid {
        throw APIStatus.conflict(
          resource, target.name,
          "Precondition failed: UID in precondition: \(uid), UID in object meta: \(existing.uid)")
      }
      ServerFields.carryOver(&value, old: old, target)
      try self.admit(&value, resource, old: old)
      if let operation {
        ManagedFields.apply(operation, to: &value, live: old, resource)
      } else {
        ManagedFields.recordUpdate(&value, old: old, request, target)
      }
      ServerFields.countGeneration(&value, old: old, target)
      if resource.qualifiedName == ServiceStrategy.resource {
        try self.services.allocator.allocate(&value, target.key, resource, transaction)
      }
      value.set(["metadata", "resourceVersion"], to: old["metadata"]?["resourceVersion"])
      if ManagedFields.isSame(value, old) { return (existing, false) }
      value["apiVersion"] = .string(resource.storageGroupVersion)
      if isDryRun {
        return (
          StoredObject(
            key: target.key, resourceVersion: existing.resourceVersion, value: value, selectable: resource.selectable),
          true
        )
      }
      let stored = transaction.put(target.key, value, selectable: resource.selectable)
      try Lifecycle.finishIfReleased(target.key, registry: registry, &transaction)
      return (stored, true)
    }
  }
}
