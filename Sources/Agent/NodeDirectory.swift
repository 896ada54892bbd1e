import Addressing
import Flows
import Identity
import Policy
import Synchronization

/// Names for the numbers that the kernel speaks in; written by the agent's parts, read wherever flows are made.
final class NodeDirectory: FlowResolver {
  private struct State {
    var endpoints: [UInt32: (namespace: String, pod: String)] = [:]
    var owners: [IPAddress: (namespace: String, pod: String)] = [:]
    var labels: [UInt32: [String]] = [:]
    var rules: RuleTable?
  }

  private let state = Mutex(State())

  init() {
    for identity in ReservedIdentity.allCases { setLabels(identity.identity, identity.labels) }
  }

  func endpoint(id: UInt32) -> (namespace: String, pod: String)? { state.withLock { $0.endpoints[id] } }
  func labels(identity: UInt32) -> [String] { state.withLock { $0.labels[identity] ?? [] } }
  func owner(address: IPAddress) -> (namespace: String, pod: String)? { state.withLock { $0.owners[address] } }

  func author(rule: UInt32) -> Flow.PolicyReference? {
    guard let origin = state.withLock({ $0.rules?[rule] }), let object = origin.object else { return nil }
    return Flow.PolicyReference(
      kind: object.kind, namespace: object.namespace ?? "", name: object.name, rule: origin.path)
  }

  func origin(rule: UInt32) -> RuleOrigin? { state.withLock { $0.rules?[rule] } }

  func setEndpoint(_ id: UInt32, namespace: String, pod: String, addresses: [IPAddress]) {
    state.withLock { state in
      state.endpoints[id] = (namespace, pod)
      for address in addresses { state.owners[address] = (namespace, pod) }
    }
  }

  /// Forgets who has the addresses; the endpoint's id keeps its name, as events of it may still be on their way.
  func removeEndpoint(_ id: UInt32, addresses: [IPAddress]) {
    state.withLock { state in
      for address in addresses { state.owners[address] = nil }
    }
  }

  func setLabels(_ identity: NumericIdentity, _ labels: IdentityLabels?) {
    state.withLock { $0.labels[identity.rawValue] = labels?.labels.map(\.description) }
  }

  func setRules(_ rules: RuleTable) { state.withLock { $0.rules = rules } }
}
