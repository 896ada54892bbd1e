import Addressing
import CNI
import JSON
import KubernetesAPI
import Logging
import Synchronization

/// Tells the API about this node's endpoints (CiliumEndpoint), behind the pods' backs: connecting a pod does not wait. What
/// can not be written is tried again; of several changes of one pod's endpoint only the newest is written.
final class EndpointPublisher: EndpointReports {
  private enum Wish: Sendable {
    case published(Endpoint)
    /// By the pod with this uid.
    case gone(uid: String)
  }

  private final class Wishes: Sendable {
    private let newest = Mutex<[ObjectKey: Wish]>([:])

    subscript(key: ObjectKey) -> Wish? { newest.withLock { $0[key] } }

    func publish(_ endpoint: Endpoint, as key: ObjectKey) { newest.withLock { $0[key] = .published(endpoint) } }

    /// An endpoint of a later pod of this name is not withdrawn with the earlier one's.
    func withdraw(_ key: ObjectKey, uid: String) {
      newest.withLock { newest in
        if case .published(let other)? = newest[key], other.attachment.podUID != uid { return }
        newest[key] = .gone(uid: uid)
      }
    }

    func forget(_ key: ObjectKey) {
      newest.withLock { if case .gone? = $0[key] { $0[key] = nil } }
    }
  }

  private let wishes = Wishes()
  private let queue: WorkQueue<ObjectKey>

  init(api: any ObjectAPI, backoff: Backoff = Backoff(base: .milliseconds(200)), logger: Logger) {
    queue = WorkQueue(backoff: backoff) { key, error, pause in
      logger.warning("\(key) could not be written, trying again in \(pause): \(error)")
    } work: { [wishes] key in
      switch wishes[key] {
      case .published(let endpoint): try await EndpointPublisher.write(endpoint, key, api)
      case .gone(let uid):
        try await EndpointPublisher.remove(key, uid: uid, api)
        wishes.forget(key)
      case nil: break
      }
    }
  }

  deinit { queue.stop() }

  /// Everything that was asked for is written.
  var isIdle: Bool { queue.isIdle }

  func publish(_ endpoint: Endpoint) {
    // The object stands beside its Pod.
    guard endpoint.attachment.isOfPod else { return }
    let key = EndpointPublisher.key(endpoint.attachment)
    wishes.publish(endpoint, as: key)
    queue.add(key)
  }

  func withdraw(_ attachment: PodAttachment) {
    guard attachment.isOfPod else { return }
    let key = EndpointPublisher.key(attachment)
    wishes.withdraw(key, uid: attachment.podUID)
    queue.add(key)
  }

  private static func key(_ attachment: PodAttachment) -> ObjectKey {
    ObjectKey(kind: CiliumEndpoint.resource.kind, namespace: attachment.podNamespace, name: attachment.podName)
  }

  private static func write(
    _ endpoint: Endpoint, _ key: ObjectKey, _ api: any ObjectAPI
  ) async throws(KubernetesError) {
    let type = CiliumEndpoint.resource
    let status = status(endpoint)
    let owners: JSONValue = [
      [
        "apiVersion": "v1", "kind": "Pod", "name": .string(key.name), "uid": .string(endpoint.attachment.podUID),
      ]
    ]
    do throws(KubernetesError) {
      _ = try await api.create(
        type,
        [
          "apiVersion": .string(type.apiVersion), "kind": .string(type.kind),
          "metadata": [
            "name": .string(key.name), "namespace": .string(key.namespace ?? ""), "ownerReferences": owners,
          ],
          "status": status,
        ])
    } catch {
      guard error.isConflict else { throw error }
      // The owner too: the object of an earlier pod of this name would be deleted with that pod. This kind has no
      // subresource for its status.
      _ = try await api.patch(
        type, namespace: key.namespace, name: key.name, .merge,
        ["metadata": ["ownerReferences": owners], "status": status], subresource: nil)
    }
  }

  /// Removes the endpoint of the pod with this uid, and not that of a later pod, which another node may have published.
  private static func remove(_ key: ObjectKey, uid: String, _ api: any ObjectAPI) async throws(KubernetesError) {
    let type = CiliumEndpoint.resource
    do throws(KubernetesError) {
      let metadata = try await api.get(type, namespace: key.namespace, name: key.name)["metadata"]
      let owner = metadata?["ownerReferences"]?.arrayValue?.first?["uid"]?.stringValue
      guard owner == nil || owner == uid else { return }
      try await api.delete(
        type, namespace: key.namespace, name: key.name,
        DeleteOptions(
          uid: metadata?["uid"]?.stringValue, resourceVersion: metadata?["resourceVersion"]?.stringValue))
    } catch {
      if !error.isNotFound { throw error }
    }
  }

  private static func status(_ endpoint: Endpoint) -> JSONValue {
    var pair: [String: JSONValue] = [:]
    for address in endpoint.attachment.addresses {
      pair[address.isIPv4 ? "ipv4" : "ipv6"] = .string(address.description)
    }
    return [
      "id": .integer(Int64(endpoint.id)), "state": "ready",
      "identity": [
        "id": .integer(Int64(endpoint.identity.rawValue)),
        "labels": .array(endpoint.labels.labels.map { .string($0.description) }),
      ],
      "networking": ["addressing": [.object(pair)]],
      "named-ports": .array(
        endpoint.namedPorts.sorted().map {
          [
            "name": .string($0.name), "port": .integer(Int64($0.port)),
            "protocol": .string(TransportProtocol($0.protocol).description),
          ]
        }),
    ]
  }
}
