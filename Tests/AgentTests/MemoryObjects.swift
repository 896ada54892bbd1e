import JSON
import Synchronization

@testable import KubernetesAPI

/// The objects of an API server in memory, with its rules for versions. `before` runs ahead of each request and may wait or
/// fail.
final class MemoryObjects: ObjectAPI {
  typealias Hook = @Sendable (_ verb: String, _ name: String) async throws(KubernetesError) -> Void

  private struct State {
    var objects: [String: JSONValue] = [:]
    var version: Int64 = 0
    var log: [String] = []
    var hook: Hook = { (_, _) async throws(KubernetesError) in }

    mutating func put(_ path: String, _ object: JSONValue) -> JSONValue {
      version += 1
      var object = object
      object["metadata"]?["resourceVersion"] = .string(String(version))
      if object["metadata"]?["uid"] == nil { object["metadata"]?["uid"] = .string("uid-\(version)") }
      objects[path] = object
      return object
    }
  }

  private let state = Mutex(State())

  var log: [String] { state.withLock { $0.log } }

  func before(_ hook: @escaping Hook) { state.withLock { $0.hook = hook } }

  subscript(type: ResourceType, namespace: String?, name: String) -> JSONValue? {
    state.withLock { $0.objects[type.path(namespace: namespace, name: name)] }
  }

  /// Stores as another client would.
  @discardableResult
  func put(_ type: ResourceType, _ object: JSONValue) -> JSONValue {
    state.withLock { $0.put(Self.path(type, object), object) }
  }

  func remove(_ type: ResourceType, namespace: String?, name: String) {
    state.withLock { $0.objects[type.path(namespace: namespace, name: name)] = nil }
  }

  static let unavailable = KubernetesError.transport("away")

  private static func failure(_ code: Int) -> KubernetesError {
    .status(code: code, reason: "", message: "", causes: [])
  }

  private static func path(_ type: ResourceType, _ object: JSONValue) -> String {
    type.path(
      namespace: object[path: "metadata", "namespace"]?.stringValue,
      name: object[path: "metadata", "name"]?.stringValue ?? "")
  }

  private func begin(_ verb: String, _ name: String) async throws(KubernetesError) {
    let hook = state.withLock { state in
      state.log.append("\(verb) \(name)")
      return state.hook
    }
    try await hook(verb, name)
  }

  private func change(
    _ path: String, _ body: (JSONValue) -> Result<JSONValue?, KubernetesError>
  ) throws(KubernetesError) -> JSONValue {
    let result: Result<JSONValue, KubernetesError> = state.withLock { state in
      guard let object = state.objects[path] else { return .failure(Self.failure(404)) }
      switch body(object) {
      case .failure(let error): return .failure(error)
      case .success(let changed?): return .success(state.put(path, changed))
      case .success(nil):
        state.objects[path] = nil
        return .success(object)
      }
    }
    return try result.get()
  }

  func get(_ type: ResourceType, namespace: String?, name: String) async throws(KubernetesError) -> JSONValue {
    try await begin("get", name)
    guard let object = self[type, namespace, name] else { throw Self.failure(404) }
    return object
  }

  func listAll(
    _ type: ResourceType, namespace: String?, _ options: ListOptions
  ) async throws(KubernetesError) -> ObjectList<JSONValue> {
    try await begin("list", type.plural)
    return state.withLock { state in
      let items = state.objects.values.filter { $0["kind"]?.stringValue == type.kind }
      return ObjectList(items: items, resourceVersion: String(state.version))
    }
  }

  func create(_ type: ResourceType, _ object: JSONValue) async throws(KubernetesError) -> JSONValue {
    try await begin("create", object[path: "metadata", "name"]?.stringValue ?? "")
    let path = Self.path(type, object)
    let created: JSONValue? = state.withLock { $0.objects[path] == nil ? $0.put(path, object) : nil }
    guard let created else { throw Self.failure(409) }
    return created
  }

  func update(_ type: ResourceType, _ object: JSONValue) async throws(KubernetesError) -> JSONValue {
    try await begin("update", object[path: "metadata", "name"]?.stringValue ?? "")
    return try change(Self.path(type, object)) { old in
      let version = object[path: "metadata", "resourceVersion"]
      return version == nil || version == old[path: "metadata", "resourceVersion"]
        ? .success(object) : .failure(Self.failure(409))
    }
  }

  func patch(
    _ type: ResourceType, namespace: String?, name: String, _ kind: PatchKind, _ patch: JSONValue, subresource: String?
  ) async throws(KubernetesError) -> JSONValue {
    try await begin("patch", name)
    // As in Kubernetes: only kinds that have the subresource serve it.
    if subresource == "status", type == CiliumEndpoint.resource { throw Self.failure(404) }
    return try change(type.path(namespace: namespace, name: name)) { old in
      let version = patch[path: "metadata", "resourceVersion"]
      guard version == nil || version == old[path: "metadata", "resourceVersion"] else {
        return .failure(Self.failure(409))
      }
      return .success(Self.merged(old, patch))
    }
  }

  func delete(
    _ type: ResourceType, namespace: String?, name: String, _ options: DeleteOptions
  ) async throws(KubernetesError) -> JSONValue {
    try await begin("delete", name)
    return try change(type.path(namespace: namespace, name: name)) { old in
      func differs(_ wanted: String?, _ key: String) -> Bool {
        wanted != nil && wanted != old[path: "metadata", key]?.stringValue
      }
      return differs(options.uid, "uid") || differs(options.resourceVersion, "resourceVersion")
        ? .failure(Self.failure(409)) : .success(nil)
    }
  }

  /// RFC 7386.
  private static func merged(_ old: JSONValue, _ patch: JSONValue) -> JSONValue {
    guard case .object(let members) = patch else { return patch }
    var result: JSONValue = old.objectValue == nil ? [:] : old
    for (key, value) in members {
      result[key] = value.isNull ? nil : merged(result[key] ?? [:], value)
    }
    return result
  }
}

/// Holds back whoever comes until it is opened.
actor Gate {
  private var isOpen = false
  private var held: [CheckedContinuation<Void, Never>] = []
  private(set) var arrivals = 0

  func pass() async {
    arrivals += 1
    if isOpen { return }
    await withCheckedContinuation { held.append($0) }
  }

  func open() {
    isOpen = true
    for continuation in held { continuation.resume() }
    held = []
  }

  /// Waits until somebody has come.
  func visited(times: Int = 1) async {
    while arrivals < times { await Task.yield() }
  }
}

/// Waits until `condition` holds; false when it does not in twenty seconds.
func eventually(_ condition: () async -> Bool) async -> Bool {
  let deadline = ContinuousClock.now + .seconds(20)
  while ContinuousClock.now < deadline {
    if await condition() { return true }
    try? await Task.sleep(for: .milliseconds(2))
  }
  return await condition()
}
