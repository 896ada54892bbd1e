import JSON
import KubernetesAPI
import Logging

/// Tells the API about this node's endpoints (CiliumEndpoint), behind the pods' backs: connecting a pod does not wait.
final class EndpointPublisher: Sendable {
  private enum Job: Sendable {
    case publish(Endpoint)
    case withdraw(Endpoint)
  }

  private let jobs: AsyncStream<Job>.Continuation
  private let worker: Task<Void, Never>

  init(client: KubernetesClient, nodeName: String, logger: Logger) {
    let (stream, continuation) = AsyncStream.makeStream(of: Job.self)
    jobs = continuation
    worker = Task {
      for await job in stream {
        do throws(KubernetesError) {
          switch job {
          case .publish(let endpoint): try await EndpointPublisher.publish(endpoint, client, nodeName)
          case .withdraw(let endpoint):
            _ = try await client.delete(
              CiliumEndpoint.resource, namespace: endpoint.attachment.podNamespace, name: endpoint.attachment.podName)
          }
        } catch {
          if !error.isNotFound { logger.warning("the CiliumEndpoint could not be written: \(error)") }
        }
      }
    }
  }

  deinit {
    jobs.finish()
    worker.cancel()
  }

  func publish(_ endpoint: Endpoint) { jobs.yield(.publish(endpoint)) }
  func withdraw(_ endpoint: Endpoint) { jobs.yield(.withdraw(endpoint)) }

  private static func publish(
    _ endpoint: Endpoint, _ client: KubernetesClient, _ nodeName: String
  ) async throws(KubernetesError) {
    let attachment = endpoint.attachment
    let status = status(endpoint, nodeName)
    let object: JSONValue = [
      "apiVersion": .string(CiliumEndpoint.resource.apiVersion), "kind": "CiliumEndpoint",
      "metadata": [
        "name": .string(attachment.podName), "namespace": .string(attachment.podNamespace),
        "ownerReferences": [
          [
            "apiVersion": "v1", "kind": "Pod", "name": .string(attachment.podName), "uid": .string(attachment.podUID),
          ]
        ],
      ],
      "status": status,
    ]
    do throws(KubernetesError) {
      _ = try await client.create(CiliumEndpoint.resource, object)
    } catch {
      guard error.isConflict else { throw error }
    }
    _ = try await client.patch(
      CiliumEndpoint.resource, namespace: attachment.podNamespace, name: attachment.podName, .merge,
      ["status": status], subresource: "status")
  }

  private static func status(_ endpoint: Endpoint, _ nodeName: String) -> JSONValue {
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
            "protocol": .string($0.protocol == 17 ? "UDP" : "TCP"),
          ]
        }),
    ]
  }
}
