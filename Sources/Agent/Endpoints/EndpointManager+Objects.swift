import Identity
import KubernetesAPI
import Policy

// What the API says. Events only note what is newest and ask for the endpoints' identities; whichever was asked for last is
// worked out from what is newest then.
extension EndpointManager {
  func podApplied(_ pod: Pod) {
    pods[pod.key] = pod
    identifyAgain { $0.podKey == pod.key }
  }

  func podDeleted(_ key: ObjectKey) { pods[key] = nil }

  func namespaceApplied(_ name: String, labels: [String: String]) {
    guard namespaces[name] != labels else { return }
    namespaces[name] = labels
    identifyAgain { $0.attachment.podNamespace == name }
  }

  func namespaceDeleted(_ name: String) { namespaces[name] = nil }

  /// Identities that came and went, in that order. Policy learns of those that only other nodes use.
  func identitiesChanged(_ deltas: [ReflectorDelta<CiliumIdentity>]) async {
    var labels: [NumericIdentity: IdentityLabels] = [:]
    for delta in deltas {
      switch delta {
      case .replaced: break
      case .applied(let object): labels[object.number] = await identities.insert(object)
      case .deleted(let key): if let number = NumericIdentity(objectName: key.name) { await identities.remove(number) }
      case .invalid(let key, _, let error): logger.error("\(key) can not be read: \(error)")
      }
    }
    // Nothing waits between looking at the endpoints and this change: who takes an identity now changes policy after it.
    var change = PolicyDelta()
    for delta in deltas {
      switch delta {
      case .applied(let object): applied(object, labels[object.number] ?? IdentityLabels([]), &change)
      case .deleted(let key): deleted(key.name, &change)
      case .replaced, .invalid: break
      }
    }
    if !change.isEmpty { await policy.apply(change) }
  }

  /// Those of this node's endpoints are known already.
  private func applied(_ object: CiliumIdentity, _ labels: IdentityLabels, _ change: inout PolicyDelta) {
    let number = object.number
    guard isUsed(number) else {
      change.removedIdentities.remove(number)
      change.changedIdentities[number] = IdentityDetails(labels: labels)
      return
    }
    // Used, though it is marked as unused or stands for other labels: its endpoints must say so, or take another one.
    let isForeign = endpoints.values.contains { $0.identity == number && $0.labels != labels }
    if isForeign || object.isMarkedUnused { unsettle(number) }
  }

  /// Should an endpoint use it, the object is made again.
  private func deleted(_ name: String, _ change: inout PolicyDelta) {
    guard let number = NumericIdentity(objectName: name) else { return }
    guard !isUsed(number) else { return unsettle(number) }
    change.changedIdentities[number] = nil
    change.removedIdentities.insert(number)
  }

  private func isUsed(_ identity: NumericIdentity) -> Bool {
    endpoints.values.contains { $0.identity == identity }
  }

  private func unsettle(_ identity: NumericIdentity) {
    for (key, endpoint) in endpoints where endpoint.identity == identity { endpoints[key]?.isSettled = false }
    identifyAgain { $0.identity == identity }
  }
}

extension NumericIdentity {
  /// The number of the CiliumIdentity with this name.
  fileprivate init?(objectName: String) {
    guard let number = UInt32(objectName) else { return nil }
    self.init(rawValue: number)
  }
}
