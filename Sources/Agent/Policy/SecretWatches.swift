import KubernetesAPI
import Logging
import Policy
import Synchronization

/// Watches the Secrets that policies name, one by one, and no others.
final class SecretWatches: Sendable {
  typealias Name = PolicyContext.SecretName

  private let client: KubernetesClient
  private let logger: Logger
  private let deliver: @Sendable (ClusterInput) -> Void
  private let watches = Mutex<[Name: Watch]>([:])

  private struct Watch {
    let task: Task<Void, Never>
    var isTold = false
  }

  /// A Secret of which the API says nothing for so long counts as missing, until it does.
  private static let patience = Duration.seconds(5)

  init(client: KubernetesClient, logger: Logger, deliver: @escaping @Sendable (ClusterInput) -> Void) {
    self.client = client
    self.logger = logger
    self.deliver = deliver
  }

  deinit { stop() }

  /// Watches these from now on; each is told of within some seconds.
  func follow(_ names: Set<Name>) {
    watches.withLock { watches in
      for name in watches.keys where !names.contains(name) { watches.removeValue(forKey: name)?.task.cancel() }
      for name in names where watches[name] == nil { watches[name] = Watch(task: start(name)) }
    }
  }

  func stop() {
    watches.withLock { watches in
      for watch in watches.values { watch.task.cancel() }
      watches = [:]
    }
  }

  private func start(_ name: Name) -> Task<Void, Never> {
    let reflector = Reflector<Secret>(
      client: client, namespace: name.namespace, options: ListOptions(fieldSelector: "metadata.name=\(name.name)"),
      logger: logger)
    return Task { [weak self] in
      await withTaskGroup(of: Void.self) { group in
        group.addTask { [weak self] in await reflector.run { [weak self] in self?.tell(name, $0) } }
        group.addTask { [weak self] in
          guard (try? await Task.sleep(for: SecretWatches.patience)) != nil else { return }
          self?.tell(name, .replaced([]), unlessTold: true)
        }
        await group.waitForAll()
      }
    }
  }

  private func tell(_ name: Name, _ delta: ReflectorDelta<Secret>, unlessTold: Bool = false) {
    let isWanted = watches.withLock { watches in
      guard let watch = watches[name], !(unlessTold && watch.isTold) else { return false }
      watches[name]?.isTold = true
      return true
    }
    if isWanted { deliver(.secret(name, delta)) }
  }
}
