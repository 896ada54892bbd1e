import JSON
import KubernetesAPI
import Policy

/// Follows one kind of policy objects and tells the compiler what changed. An event that only touches an object's status
/// or metadata changes nothing.
struct PolicyFeed<Object: KubernetesObject> {
  private struct Version: Equatable {
    let uid: String
    let generation: Int64
  }

  private let lower: @Sendable (Object) -> PolicyDocument
  private let cluster: String
  private var known: [ObjectKey: Version] = [:]

  init(cluster: String, lower: @escaping @Sendable (Object) -> PolicyDocument) {
    self.cluster = cluster
    self.lower = lower
  }

  /// nil when nothing changed.
  mutating func delta(_ event: ReflectorDelta<Object>) -> PolicyDelta? {
    var delta = PolicyDelta()
    switch event {
    case .replaced(let objects, let invalid):
      delta.changedPolicies = objects.compactMap { document($0) }
      for object in invalid { delta.changedPolicies.append(closedDoor(object.key, object.raw, object.error)) }
    case .applied(let object): delta.changedPolicies = document(object).map { [$0] } ?? []
    case .deleted(let key):
      if known.removeValue(forKey: key) != nil { delta.removedPolicies = [key] }
    case .invalid(let key, let raw, let error):
      delta.changedPolicies = [closedDoor(key, raw, error)]
    }
    return delta.changedPolicies.isEmpty && delta.removedPolicies.isEmpty ? nil : delta
  }

  private mutating func closedDoor(_ key: ObjectKey, _ raw: JSONValue, _ error: FieldError) -> PolicyDocument {
    known[key] = Version(uid: "", generation: -1)
    return PolicyDocument(undecodable: raw, key: key, error: error, cluster: cluster)
  }

  private mutating func document(_ object: Object) -> PolicyDocument? {
    let version = Version(uid: object.metadata.uid, generation: object.metadata.generation)
    guard known.updateValue(version, forKey: object.key) != version else { return nil }
    return lower(object)
  }
}
