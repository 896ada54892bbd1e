import JSON
import Workloads

/// An API server's Pods, in memory.
actor FakePodAPI: PodAPI {
  private var pods: [String: JSONValue] = [:]
  /// Every phase and readiness that was told, by Pod.
  private(set) var history: [String: [String]] = [:]
  private(set) var removed: [String] = []
  private let changes: AsyncStream<PodChange>
  private let continuation: AsyncStream<PodChange>.Continuation

  init() { (changes, continuation) = AsyncStream.makeStream() }

  func pod(_ name: String) -> JSONValue? { pods[name] }

  func put(_ pod: JSONValue) {
    guard let name = pod[path: "metadata", "name"]?.stringValue else { return }
    pods[name] = pod
    continuation.yield(.changed(pod))
  }

  /// As DELETE does: the object stays until the node lets it go.
  func delete(_ name: String, grace: Int64) {
    guard var pod = pods[name] else { return }
    pod["metadata"]?["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    pod["metadata"]?["deletionGracePeriodSeconds"] = .integer(grace)
    put(pod)
  }

  /// As a forced DELETE does.
  func drop(_ name: String) {
    pods[name] = nil
    continuation.yield(.removed(namespace: "default", name: name))
  }

  nonisolated func watch(nodeName: String, _ deliver: @escaping @Sendable (PodChange) async -> Void) async {
    await deliver(.all(await Array(pods.values)))
    for await change in changes { await deliver(change) }
  }

  func patchStatus(namespace: String, name: String, _ patch: JSONValue) async throws(PodAPIError) {
    guard var pod = pods[name], pod[path: "metadata", "uid"] == patch[path: "metadata", "uid"] else { throw .gone }
    var status = pod["status"] ?? [:]
    for (key, value) in patch["status"]?.objectValue ?? [:] { status[key] = value.isNull ? nil : value }
    pod["status"] = status
    pods[name] = pod
    let ready = status["containerStatuses"]?.arrayValue?.first?["ready"] == true
    history[name, default: []].append((status["phase"]?.stringValue ?? "?") + (ready ? "+ready" : ""))
    continuation.yield(.changed(pod))
  }

  func remove(namespace: String, name: String, uid: String) async throws(PodAPIError) {
    guard pods[name]?[path: "metadata", "uid"] == .string(uid) else { throw .gone }
    pods[name] = nil
    removed.append(name)
    continuation.yield(.removed(namespace: namespace, name: name))
  }
}
