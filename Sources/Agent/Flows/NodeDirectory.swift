import Addressing
import Flows
import Identity
import KubernetesAPI
import Policy
import Services
import Synchronization

/// Names for the numbers that the kernel speaks in; written by the agent's parts, read wherever flows are made.
final class NodeDirectory: FlowResolver {
  private struct State {
    var endpoints: [UInt32: (namespace: String, pod: String)] = [:]
    var owners: [IPAddress: (id: UInt32, namespace: String, pod: String)] = [:]
    /// Ids of endpoints that have gone, oldest first.
    var retired: [UInt32] = []
    var labels: [UInt32: IdentityLabels] = [:]
    /// As flows have them; of the identities that there were flows of.
    var texts: [UInt32: [String]] = [:]
    /// Identities that have gone, and in which order.
    var gone: Set<UInt32> = []
    var goneInOrder: [UInt32] = []
    var rules: RuleTable?
    var services: [UInt32: Flow.Service] = [:]
    /// By subject: the policies that close its ingress, and its egress.
    var closing: [UInt32: (ingress: [Flow.PolicyReference], egress: [Flow.PolicyReference])] = [:]
    /// Who selects whom, by rule set: the policies whose rules are in it.
    var ruleSets: [UInt32: [Flow.PolicyReference]] = [:]
  }

  /// What this node is called where an end of a connection is asked for.
  static let hostName = "reserved:host"

  private let state = Mutex(State())

  init() {
    for identity in ReservedIdentity.allCases { setLabels(identity.identity, identity.labels) }
  }

  func endpoint(id: UInt32) -> (namespace: String, pod: String)? { state.withLock { $0.endpoints[id] } }
  func labels(identity: UInt32) -> [String] {
    state.withLock { state in
      if let texts = state.texts[identity] { return texts }
      guard let texts = state.labels[identity]?.labels.map(\.description) else { return [] }
      state.texts[identity] = texts
      return texts
    }
  }
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
      state.labels[identity.rawValue] = labels
      state.texts[identity.rawValue] = nil
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
      where state.gone.remove(identity) != nil {
        state.labels[identity] = nil
        state.texts[identity] = nil
      }
      state.goneInOrder.removeFirst(NodeDirectory.rememberedIdentities)
    }
  }

  /// At least so many identities that have gone still have labels.
  static let rememberedIdentities = 1024

  func service(number: UInt32) -> Flow.Service? { state.withLock { $0.services[number] } }

  /// - Parameter changes: by the kernel's numbers; nil: the number means nothing any more.
  func setServices(_ changes: [UInt32: BalancerID?]) {
    state.withLock { state in
      for (number, id) in changes {
        state.services[number] = id.map {
          Flow.Service(namespace: $0.port.service.namespace, name: $0.port.service.name, port: $0.port.port)
        }
      }
    }
  }

  func closing(identity: UInt32, _ direction: Flow.Direction) -> [Flow.PolicyReference] {
    state.withLock { state in
      state.closing[identity].map { direction == .ingress ? $0.ingress : $0.egress } ?? []
    }
  }

  /// - Parameter changes: by subject; without any policy: it is closed by none.
  func setClosing(_ changes: [NumericIdentity: (ingress: [ObjectKey], egress: [ObjectKey])]) {
    func references(_ keys: [ObjectKey]) -> [Flow.PolicyReference] {
      keys.map { Flow.PolicyReference(kind: $0.kind, namespace: $0.namespace ?? "", name: $0.name, rule: "") }
    }
    state.withLock { state in
      for (identity, keys) in changes {
        state.closing[identity.rawValue] =
          keys.ingress.isEmpty && keys.egress.isEmpty ? nil : (references(keys.ingress), references(keys.egress))
      }
    }
  }

  /// The policies of which a rule set has rules.
  func authors(ruleSet: UInt32) -> [Flow.PolicyReference] { state.withLock { $0.ruleSets[ruleSet] ?? [] } }

  func setAuthors(of ruleSets: [UInt32: [Flow.PolicyReference]]) { state.withLock { $0.ruleSets = ruleSets } }

  func setRules(_ rules: RuleTable) { state.withLock { $0.rules = rules } }
}
