import JSON

/// A change of the Pods that are bound to this node.
public enum PodChange: Sendable {
  /// All Pods there are, as documents; whatever was known before is void.
  case all([JSONValue])
  case changed(JSONValue)
  case removed(namespace: String, name: String)
}

/// What the runtime needs of the Kubernetes API; a protocol, so that the runtime is tested without a server.
public protocol PodAPI: Sendable {
  /// Delivers changes, one after another, until the task is cancelled. The first is `all`.
  func watch(nodeName: String, _ deliver: @escaping @Sendable (PodChange) async -> Void) async
  /// Applies a merge patch to the status; the patch names the uid that it is meant for.
  func patchStatus(namespace: String, name: String, _ patch: JSONValue) async throws(PodAPIError)
  /// Removes the object at once, unless another one has taken its name.
  func remove(namespace: String, name: String, uid: String) async throws(PodAPIError)
}

/// Why a request of the runtime failed.
public enum PodAPIError: Error, Hashable, Sendable {
  /// The Pod is gone, or another one has its name.
  case gone
  /// May succeed later.
  case failed(String)
}
