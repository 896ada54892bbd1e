import JSON
import KubernetesAPI
import Logging

/// The Pods of a real API server.
public struct KubernetesPodAPI: PodAPI {
  private let client: KubernetesClient
  private let logger: Logger

  public init(client: KubernetesClient, logger: Logger = Logger(label: "martlet.workloads")) {
    self.client = client
    self.logger = logger
  }

  public func watch(nodeName: String, _ deliver: @escaping @Sendable (PodChange) async -> Void) async {
    let options = ListOptions(fieldSelector: "spec.nodeName=\(nodeName)", limit: 500)
    await Reflector<Pod>(client: client, options: options, logger: logger).run { delta in
      switch delta {
      case .replaced(let pods, let invalid): await deliver(.all(pods.map(\.raw) + invalid.map(\.raw)))
      case .applied(let pod): await deliver(.changed(pod.raw))
      case .deleted(let key): await deliver(.removed(namespace: key.namespace ?? "default", name: key.name))
      // The runtime judges documents itself, and says in the status what is wrong with them.
      case .invalid(_, let raw, _): await deliver(.changed(raw))
      }
    }
  }

  public func patchStatus(namespace: String, name: String, _ patch: JSONValue) async throws(PodAPIError) {
    do throws(KubernetesError) {
      _ = try await client.patchStatus(Pod.resource, namespace: namespace, name: name, patch)
    } catch {
      throw error.isNotFound ? .gone : .failed(error.description)
    }
  }

  public func remove(namespace: String, name: String, uid: String) async throws(PodAPIError) {
    do throws(KubernetesError) {
      try await client.delete(
        Pod.resource, namespace: namespace, name: name, DeleteOptions(gracePeriod: 0, uid: uid))
    } catch {
      // Asked for by uid and by no resource version, so a conflict can only mean that another Pod has the name.
      throw error.isNotFound || error.isConflict ? .gone : .failed(error.description)
    }
  }
}

extension PodRuntime {
  public init(configuration: PodRuntimeConfiguration, client: KubernetesClient, logger: Logger) {
    self.init(configuration: configuration, api: KubernetesPodAPI(client: client, logger: logger), logger: logger)
  }
}
