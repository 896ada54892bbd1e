import Flows
import JSON
import KubernetesAPI
import Logging
import Policy
import Synchronization

/// Writes what became of each policy into its object's `status.conditions`, so that nobody has to guess.
///
/// - `Valid`: the object could be read.
/// - `Enforced`: all of it is in force; else the message names the fields and what happens instead.
final class PolicyStatusReporter: Sendable {
  /// The newest status of each object that waits to be written.
  private final class Pending: Sendable {
    private let status = Mutex<[ObjectKey: PolicyObjectStatus]>([:])

    func add(_ status: [ObjectKey: PolicyObjectStatus]) { self.status.withLock { $0.merge(status) { $1 } } }

    func take() -> [ObjectKey: PolicyObjectStatus] {
      status.withLock { status in
        defer { status = [:] }
        return status
      }
    }
  }

  private let pending: Pending
  private let wake: AsyncStream<Void>.Continuation
  private let worker: Task<Void, Never>

  init(client: KubernetesClient, logger: Logger) {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let pending = Pending()
    self.pending = pending
    wake = continuation
    worker = Task {
      for await _ in stream {
        for (key, status) in pending.take() { await PolicyStatusReporter.write(key, status, client, logger) }
      }
    }
  }

  deinit {
    wake.finish()
    worker.cancel()
  }

  func report(_ status: [ObjectKey: PolicyObjectStatus]) {
    guard !status.isEmpty else { return }
    pending.add(status)
    wake.yield()
  }

  private static func write(
    _ key: ObjectKey, _ status: PolicyObjectStatus, _ client: KubernetesClient, _ logger: Logger
  ) async {
    if key.kind == NetworkPolicy.resource.kind { return await tell(key, status, client, logger) }
    let type =
      key.kind == CiliumNetworkPolicy.resource.kind
      ? CiliumNetworkPolicy.resource : CiliumClusterwideNetworkPolicy.resource
    do throws(KubernetesError) {
      let object = try await client.get(type, namespace: key.namespace, name: key.name)
      let now = Timestamp.text(Timestamp.now() / 1_000_000_000 * 1_000_000_000).prefix(19) + "Z"
      let before = object[path: "status", "conditions"]?.arrayValue ?? []
      let conditions = conditions(status).map { condition -> JSONValue in
        let same = before.first { $0["type"]?.stringValue == condition.type }
        let since = same?["status"]?.stringValue == condition.status ? same?["lastTransitionTime"]?.stringValue : nil
        return Condition(
          type: condition.type, status: condition.status, reason: condition.reason, message: condition.message,
          lastTransitionTime: since ?? String(now)
        ).json
      }
      guard conditions != before else { return }
      _ = try await client.patch(
        type, namespace: key.namespace, name: key.name, .merge, ["status": ["conditions": .array(conditions)]],
        subresource: "status")
    } catch {
      if !error.isNotFound { logger.warning("the status of \(key) could not be written: \(error)") }
    }
  }

  private static func conditions(_ status: PolicyObjectStatus) -> [Condition] {
    let issues = status.issues.map(\.description).joined(separator: "; ")
    switch status.state {
    case .accepted:
      return [
        Condition(type: "Valid", status: "True", reason: "Accepted", message: "the policy is valid"),
        Condition(type: "Enforced", status: "True", reason: "Enforced", message: "the policy is enforced as written"),
      ]
    case .partial:
      return [
        Condition(type: "Valid", status: "True", reason: "Accepted", message: "the policy is valid"),
        Condition(type: "Enforced", status: "False", reason: "PartlyEnforced", message: issues),
      ]
    case .rejected:
      return [
        Condition(type: "Valid", status: "False", reason: "Rejected", message: issues),
        Condition(type: "Enforced", status: "False", reason: "Rejected", message: issues),
      ]
    }
  }
}
