import JSON

/// The verbs of the API that writers of objects use; a seam for their tests.
public protocol ObjectAPI: Sendable {
  func get(_ type: ResourceType, namespace: String?, name: String) async throws(KubernetesError) -> JSONValue
  func listAll(
    _ type: ResourceType, namespace: String?, _ options: ListOptions
  ) async throws(KubernetesError) -> ObjectList<JSONValue>
  func create(_ type: ResourceType, _ object: JSONValue) async throws(KubernetesError) -> JSONValue
  func update(_ type: ResourceType, _ object: JSONValue) async throws(KubernetesError) -> JSONValue
  func patch(
    _ type: ResourceType, namespace: String?, name: String, _ kind: PatchKind, _ patch: JSONValue, subresource: String?
  ) async throws(KubernetesError) -> JSONValue
  @discardableResult
  func delete(
    _ type: ResourceType, namespace: String?, name: String, _ options: DeleteOptions
  ) async throws(KubernetesError) -> JSONValue
}

extension KubernetesClient: ObjectAPI {}
