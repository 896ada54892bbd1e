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

  /// An identity that another node may use; those of this node's endpoints are known already.
  func identityApplied(_ object: CiliumIdentity) async {
    await identities.insert(object)
    let number = object.number
    guard isUsed(number) else {
      var delta = PolicyDelta()
      delta.changedIdentities[number] = IdentityDetails(labels: object.identityLabels)
      return await policy.apply(delta)
    }
    // Used, though it is marked as unused or stands for other labels: its endpoints must say so, or take another one.
    let isForeign = endpoints.values.contains { $0.identity == number && $0.labels != object.identityLabels }
    if isForeign || object.isMarkedUnused { unsettle(number) }
  }

  /// Should an endpoint use it, the object is made again.
  func identityDeleted(_ name: String) async {
    guard let number = UInt32(name).map(NumericIdentity.init(rawValue:)) else { return }
    await identities.remove(number)
    guard isUsed(number) else {
      var delta = PolicyDelta()
      delta.removedIdentities = [number]
      return await policy.apply(delta)
    }
    unsettle(number)
  }

  private func isUsed(_ identity: NumericIdentity) -> Bool {
    endpoints.values.contains { $0.identity == identity }
  }

  private func unsettle(_ identity: NumericIdentity) {
    for (key, endpoint) in endpoints where endpoint.identity == identity { endpoints[key]?.isSettled = false }
    identifyAgain { $0.identity == identity }
  }
}
