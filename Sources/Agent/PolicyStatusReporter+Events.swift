import Flows
import JSON
import KubernetesAPI
import Policy

extension PolicyStatusReporter {
  private static let events = ResourceType(
    group: "", version: "v1", plural: "events", kind: "Event", namespaced: true)

  /// A NetworkPolicy has no status, so an Event tells of what is not enforced as written: `kubectl describe` shows it.
  static func tell(
    _ key: ObjectKey, _ status: PolicyObjectStatus, _ api: any ObjectAPI
  ) async throws(KubernetesError) {
    guard status.state != .accepted else { return }
    do throws(KubernetesError) {
      let object = try await api.get(NetworkPolicy.resource, namespace: key.namespace, name: key.name)
      let now = String(Timestamp.text(Timestamp.now()).prefix(19)) + "Z"
      let event: JSONValue = [
        "apiVersion": "v1", "kind": "Event",
        "metadata": [
          "name": .string("\(key.name).\(String(Timestamp.now(), radix: 16))"),
          "namespace": .string(key.namespace ?? ""),
        ],
        "involvedObject": [
          "apiVersion": .string(NetworkPolicy.resource.apiVersion), "kind": .string(key.kind),
          "namespace": .string(key.namespace ?? ""), "name": .string(key.name),
          "uid": object[path: "metadata", "uid"] ?? "",
        ],
        "type": "Warning", "reason": .string(status.state == .rejected ? "Rejected" : "PartlyEnforced"),
        "message": .string(status.issues.map(\.description).joined(separator: "; ")),
        "source": ["component": "martlet"], "firstTimestamp": .string(now), "lastTimestamp": .string(now), "count": 1,
      ]
      _ = try await api.create(events, event)
    } catch {
      if !error.isNotFound { throw error }
    }
  }
}
