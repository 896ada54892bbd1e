import ControlPlane
import KubernetesAPI
import Logging
import TestSupport

/// Runs an API server while `body` uses it.
func withCluster(_ body: (KubernetesClient) async throws -> Void) async throws {
  let folder = try TemporaryDirectory()
  var configuration = ControlPlaneConfiguration(stateDirectory: folder.path)
  configuration.port = 0
  let controlPlane = try await ControlPlane(configuration: configuration, logger: Logger(label: "test"))
  let (ready, continuation) = AsyncStream.makeStream(of: Void.self)
  let serving = Task { try await controlPlane.run { continuation.yield() } }
  for await _ in ready { break }
  let client = try KubernetesClient(configuration: .kubeconfig(path: controlPlane.kubeconfigPath))
  let result: Result<Void, any Error>
  do { result = .success(try await body(client)) } catch { result = .failure(error) }
  serving.cancel()
  _ = await serving.result
  try result.get()
}
