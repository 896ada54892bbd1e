import KubernetesAPI
import Logging
import Policy

/// Watches the kinds of objects that policy is made of, and delivers what is told of them as one stream, so that a
/// policy and what it refers to change in the order in which the API said so.
struct PolicyFeed {
  /// What is told; what `first()` has read is not told again. For one reader.
  let inputs: AsyncStream<PolicyInput>
  private let continuation: AsyncStream<PolicyInput>.Continuation
  private let secrets: SecretWatches

  init(client: KubernetesClient, logger: Logger) {
    let (stream, continuation) = AsyncStream.makeStream(of: PolicyInput.self)
    inputs = stream
    self.continuation = continuation
    let secrets = SecretWatches(client: client, logger: logger) { continuation.yield($0) }
    self.secrets = secrets
    func watch<Object>(_ type: Object.Type, _ input: @escaping @Sendable (ReflectorDelta<Object>) -> PolicyInput)
      -> Task<
        Void, Never
      >
    {
      let reflector = Reflector<Object>(client: client, logger: logger)
      return Task { await reflector.run { continuation.yield(input($0)) } }
    }
    let tasks = [
      watch(NetworkPolicy.self, PolicyInput.network),
      watch(CiliumNetworkPolicy.self, PolicyInput.cilium),
      watch(CiliumClusterwideNetworkPolicy.self, PolicyInput.clusterwide),
      watch(CiliumCIDRGroup.self, PolicyInput.cidrGroups),
      watch(Service.self, PolicyInput.services),
      watch(EndpointSlice.self, PolicyInput.endpointSlices),
      watch(Endpoints.self, PolicyInput.endpoints),
      watch(Node.self, PolicyInput.nodes),
      watch(CiliumNode.self, PolicyInput.ciliumNodes),
    ]
    watchCount = tasks.count
    continuation.onTermination = { _ in
      for task in tasks { task.cancel() }
      secrets.stop()
    }
  }

  /// How many kinds are watched; each begins with all its objects.
  private let watchCount: Int

  /// Everything up to the point where the whole of each kind is known.
  func first() async -> [PolicyInput] {
    var gathered: [PolicyInput] = []
    var kinds: Set<String> = []
    for await input in inputs {
      gathered.append(input)
      if let kind = input.wholeKind { kinds.insert(kind) }
      if kinds.count == watchCount { break }
    }
    return gathered
  }

  /// Everything up to the point where each of these Secrets is known to be there or not.
  func first(_ names: Set<PolicyContext.SecretName>) async -> [PolicyInput] {
    secrets.follow(names)
    var missing = names
    var gathered: [PolicyInput] = []
    guard !missing.isEmpty else { return [] }
    for await input in inputs {
      gathered.append(input)
      if case .secret(let name, _) = input { missing.remove(name) }
      if missing.isEmpty { break }
    }
    return gathered
  }

  /// Follows the Secrets that policies name now.
  func follow(_ names: Set<PolicyContext.SecretName>) { secrets.follow(names) }

  /// Adds an input that does not come from the API.
  func add(_ input: PolicyInput) { continuation.yield(input) }
}
