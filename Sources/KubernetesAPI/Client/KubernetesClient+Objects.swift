import JSON

// The verbs of the API on documents.
extension KubernetesClient {
  public func get(_ type: ResourceType, namespace: String?, name: String) async throws(KubernetesError) -> JSONValue {
    try await request(.GET, type.path(namespace: namespace, name: name))
  }

  /// One page.
  public func list(
    _ type: ResourceType, namespace: String? = nil, _ options: ListOptions = ListOptions()
  ) async throws(KubernetesError) -> ObjectList<JSONValue> {
    let value = try await request(.GET, type.path(namespace: namespace), query: options.query)
    guard let items = value["items"]?.arrayValue ?? (value["items"]?.isNull == true ? [] : nil) else {
      throw .malformed("a list without items")
    }
    let continuation = value[path: "metadata", "continue"]?.stringValue
    return ObjectList(
      items: items, resourceVersion: value[path: "metadata", "resourceVersion"]?.stringValue ?? "",
      continuation: continuation == "" ? nil : continuation)
  }

  /// All pages. Starts again once when the server forgets the list half way.
  public func listAll(
    _ type: ResourceType, namespace: String? = nil, _ options: ListOptions = ListOptions(limit: 500)
  ) async throws(KubernetesError) -> ObjectList<JSONValue> {
    let (items, version) = try await listAll(type, namespace: namespace, options, into: []) { $0 += $1 }
    return ObjectList(items: items, resourceVersion: version)
  }

  /// What `add` makes of all pages, one after another, so that only one need be held as a document. Starts again once, from
  /// `initial`, when the server forgets the list half way. The version is that to watch from.
  func listAll<Result: Sendable>(
    _ type: ResourceType, namespace: String?, _ options: ListOptions, into initial: Result,
    _ add: @Sendable (inout Result, [JSONValue]) -> Void
  ) async throws(KubernetesError) -> (Result, resourceVersion: String) {
    do throws(KubernetesError) {
      return try await pages(type, namespace, options, into: initial, add)
    } catch  where error.isGone {
      return try await pages(type, namespace, options, into: initial, add)
    }
  }

  private func pages<Result: Sendable>(
    _ type: ResourceType, _ namespace: String?, _ options: ListOptions, into initial: Result,
    _ add: @Sendable (inout Result, [JSONValue]) -> Void
  ) async throws(KubernetesError) -> (Result, resourceVersion: String) {
    var options = options
    var result = initial
    while true {
      let page = try await list(type, namespace: namespace, options)
      add(&result, page.items)
      guard let next = page.continuation else { return (result, page.resourceVersion) }
      options.continuation = next
    }
  }

  /// Creates the object in the namespace that it names.
  public func create(_ type: ResourceType, _ object: JSONValue) async throws(KubernetesError) -> JSONValue {
    try await request(.POST, type.path(namespace: namespace(of: object, type)), body: object)
  }

  /// Replaces the object; its resource version, where it has one, must be the server's.
  public func update(_ type: ResourceType, _ object: JSONValue) async throws(KubernetesError) -> JSONValue {
    try await replace(type, object, subresource: nil)
  }

  /// Replaces the object's status and nothing else.
  public func updateStatus(_ type: ResourceType, _ object: JSONValue) async throws(KubernetesError) -> JSONValue {
    try await replace(type, object, subresource: "status")
  }

  public func patch(
    _ type: ResourceType, namespace: String?, name: String, _ kind: PatchKind, _ patch: JSONValue,
    subresource: String? = nil
  ) async throws(KubernetesError) -> JSONValue {
    try await request(
      .PATCH, type.path(namespace: namespace, name: name, subresource: subresource), query: kind.query,
      contentType: kind.contentType, body: patch)
  }

  /// As `patch`, on the status. `patch` holds the whole path: `["status": …]`.
  public func patchStatus(
    _ type: ResourceType, namespace: String?, name: String, _ patch: JSONValue, kind: PatchKind = .merge
  ) async throws(KubernetesError) -> JSONValue {
    try await self.patch(type, namespace: namespace, name: name, kind, patch, subresource: "status")
  }

  /// Returns the object as it went, or a Status.
  @discardableResult
  public func delete(
    _ type: ResourceType, namespace: String?, name: String, _ options: DeleteOptions = DeleteOptions()
  ) async throws(KubernetesError) -> JSONValue {
    var body: JSONValue = ["apiVersion": "v1", "kind": "DeleteOptions"]
    if let seconds = options.gracePeriod { body["gracePeriodSeconds"] = .integer(Int64(seconds)) }
    if let policy = options.propagationPolicy { body["propagationPolicy"] = .string(policy) }
    var preconditions: JSONValue = [:]
    if let uid = options.uid { preconditions["uid"] = .string(uid) }
    if let version = options.resourceVersion { preconditions["resourceVersion"] = .string(version) }
    if preconditions != [:] { body["preconditions"] = preconditions }
    return try await request(.DELETE, type.path(namespace: namespace, name: name), body: body)
  }

  private func replace(
    _ type: ResourceType, _ object: JSONValue, subresource: String?
  ) async throws(KubernetesError) -> JSONValue {
    guard let name = object[path: "metadata", "name"]?.stringValue else {
      throw .undecodable(FieldError(path: "metadata.name", message: "required"))
    }
    let path = type.path(namespace: namespace(of: object, type), name: name, subresource: subresource)
    return try await request(.PUT, path, body: object)
  }

  private func namespace(of object: JSONValue, _ type: ResourceType) -> String? {
    guard type.namespaced else { return nil }
    return object[path: "metadata", "namespace"]?.stringValue ?? configuration.namespace
  }
}

// The same on types.
extension KubernetesClient {
  public func get<Object: KubernetesObject>(
    _ type: Object.Type, namespace: String? = nil, name: String
  ) async throws(KubernetesError) -> Object {
    try decoded(try await get(type.resource, namespace: namespace, name: name))
  }

  /// All pages. One object that can not be decoded fails the list; `Reflector` lives with such objects.
  public func list<Object: KubernetesObject>(
    _ type: Object.Type, namespace: String? = nil, _ options: ListOptions = ListOptions(limit: 500)
  ) async throws(KubernetesError) -> ObjectList<Object> {
    let list = try await listAll(type.resource, namespace: namespace, options)
    return ObjectList(
      items: try list.items.map { (item) throws(KubernetesError) in try decoded(item) },
      resourceVersion: list.resourceVersion)
  }

  private func decoded<Object: KubernetesObject>(_ value: JSONValue) throws(KubernetesError) -> Object {
    do throws(FieldError) {
      return try Object(value)
    } catch {
      throw .undecodable(error)
    }
  }
}
