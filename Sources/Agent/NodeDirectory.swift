import Addressing
import Flows
import Identity
import Policy
import Synchronization

/// Names for the numbers that the kernel speaks in; written by the agent's parts, read wherever flows are made.
final class NodeDirectory: FlowResolver {
  private struct State {
    var endpoints: [UInt32: (namespace: String, pod: String)] = [:]
    var owners: [IPAddress: (id: UInt32, namespace: String, pod: String)] = [:]
    /// Ids of endpoints that have gone, oldest first.
    var retired: [UInt32] = []
    var labels: [UInt32: [String]] = [:]
    /// Identities that have gone, and in which order.
    var gone: Set<UInt32> = []
    var goneInOrder: [UInt32] = []
    var rules: RuleTable?
  }

  /// What this node is called where an end of a connection is asked for.
  static let hostName = "reserved:host"

  private let state = Mutex(State())

  init() {
    for identity in ReservedIdentity.allCases { setLabels(identity.identity, identity.labels) }
  }

  func endpoint(id: UInt32) -> (namespace: String, pod: String)? { state.withLock { $0.endpoints[id] } }
  func labels(identity: UInt32) -> [String] { state.withLock { $0.labels[identity] ?? [] } }
  func owner(address: IPAddress) -> (namespace: String, pod: String)? {
    state.withLock { state in state.owners[address].map { ($0.namespace, $0.pod) } }
  }

  func author(rule: UInt32) -> Flow.PolicyReference? {
    guard let origin = state.withLock({ $0.rules?[rule] }), let object = origin.object else { return nil }
    return Flow.PolicyReference(
      kind: object.kind, namespace: object.namespace ?? "", name: object.name, rule: origin.path,
      log: origin.log)
  }

  func origin(rule: UInt32) -> RuleOrigin? { state.withLock { $0.rules?[rule] } }

  func setEndpoint(_ id: UInt32, namespace: String, pod: String, addresses: [IPAddress]) {
    state.withLock { state in
      state.retired.removeAll { $0 == id }
      state.endpoints[id] = (namespace, pod)
      for address in addresses { state.owners[address] = (id, namespace, pod) }
    }
  }

  /// Forgets who has the addresses, unless another endpoint has them already. The id keeps its name for a while, as events
  /// of it may still be on their way.
  func removeEndpoint(_ id: UInt32, addresses: [IPAddress]) {
    state.withLock { state in
      for address in addresses where state.owners[address]?.id == id { state.owners[address] = nil }
      guard state.endpoints[id] != nil, !state.retired.contains(id) else { return }
      state.retired.append(id)
      if state.retired.count > NodeDirectory.remembered { state.endpoints[state.retired.removeFirst()] = nil }
    }
  }

  /// How many endpoints that have gone still have names.
  static let remembered = 256

  func setLabels(_ identity: NumericIdentity, _ labels: IdentityLabels?) {
    state.withLock { state in
      state.labels[identity.rawValue] = labels?.labels.map(\.description)
      state.gone.remove(identity.rawValue)
    }
  }

  /// Forgets the labels of an identity that has gone, after many others: events of it may still be on their way.
  func retireLabels(_ identity: NumericIdentity) {
    state.withLock { state in
      guard state.labels[identity.rawValue] != nil, state.gone.insert(identity.rawValue).inserted else { return }
      state.goneInOrder.append(identity.rawValue)
      guard state.goneInOrder.count > 2 * NodeDirectory.rememberedIdentities else { return }
      for identity in state.goneInOrder.prefix(NodeDirectory.rememberedIdentities)
      where state.gone.remove(identity) != nil { state.labels[identity] = nil }
      state.goneInOrder.removeFirst(NodeDirectory.rememberedIdentities)
    }
  }

  /// At least so many identities that have gone still have labels.
  static let rememberedIdentities = 1024

  func setRules(_ rules: RuleTable) { state.withLock { $0.rules = rules } }
}
