import KubernetesAPI
import Logging
import Policy

/// Watches the kinds of objects that policy is made of, and delivers what is told of them as one stream, so that a
/// policy and what it refers to change in the order in which the API said so.
struct ClusterFeed {
  /// What is told; what `first()` has read is not told again. For one reader.
  let inputs: AsyncStream<ClusterInput>
  private let continuation: AsyncStream<ClusterInput>.Continuation
  private let secrets: SecretWatches

  init(client: KubernetesClient, logger: Logger) {
    let (stream, continuation) = AsyncStream.makeStream(of: ClusterInput.self)
    inputs = stream
    self.continuation = continuation
    let secrets = SecretWatches(client: client, logger: logger) { continuation.yield($0) }
    self.secrets = secrets
    func watch<Object>(_ type: Object.Type, _ input: @escaping @Sendable (ReflectorDelta<Object>) -> ClusterInput)
      -> Task<
        Void, Never
      >
    {
      let reflector = Reflector<Object>(client: client, logger: logger)
      return Task { await reflector.run { continuation.yield(input($0)) } }
    }
    let tasks = [
      watch(NetworkPolicy.self, ClusterInput.network),
      watch(CiliumNetworkPolicy.self, ClusterInput.cilium),
      watch(CiliumClusterwideNetworkPolicy.self, ClusterInput.clusterwide),
      watch(CiliumCIDRGroup.self, ClusterInput.cidrGroups),
      watch(Service.self, ClusterInput.services),
      watch(EndpointSlice.self, ClusterInput.endpointSlices),
      watch(Endpoints.self, ClusterInput.endpoints),
      watch(Node.self, ClusterInput.nodes),
      watch(CiliumNode.self, ClusterInput.ciliumNodes),
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
  func first() async -> [ClusterInput] {
    var gathered: [ClusterInput] = []
    var kinds: Set<String> = []
    for await input in inputs {
      gathered.append(input)
      if let kind = input.wholeKind { kinds.insert(kind) }
      if kinds.count == watchCount { break }
    }
    return gathered
  }

  /// Everything up to the point where each of these Secrets is known to be there or not.
  func first(_ names: Set<PolicyContext.SecretName>) async -> [ClusterInput] {
    secrets.follow(names)
    var missing = names
    var gathered: [ClusterInput] = []
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
  func add(_ input: ClusterInput) { continuation.yield(input) }
}
