import JSON
import KubernetesAPI
import Policy
import Synchronization

/// Which version of each policy object is in force on this node.
final class PolicyProgress: Sendable {
  private struct Version {
    let generation: Int64
    /// What its annotation says, which is no part of the generation.
    let mode: String?

    init(_ metadata: ObjectMeta) {
      generation = metadata.generation
      mode = metadata.annotations[PolicyMode.annotation]
    }

    init(_ object: JSONValue) {
      generation = object[path: "metadata", "generation"]?.integerValue ?? 0
      mode = object[path: "metadata", "annotations", PolicyMode.annotation]?.stringValue
    }
  }

  private let inForce = Mutex<[ObjectKey: Version]>([:])
  private let errors = Mutex<UInt64>(0)

  /// How often an object came that could not be read.
  var importErrors: UInt64 { errors.withLock { $0 } }

  /// To be called when the change that `input` tells of is in force.
  func record(_ input: ClusterInput) {
    switch input {
    case .network(let event): record(event)
    case .cilium(let event): record(event)
    case .clusterwide(let event): record(event)
    case .cidrGroups, .secret, .services, .endpointSlices, .endpoints, .nodes, .ciliumNodes, .hostAddresses: break
    }
  }

  private func record<Object>(_ event: ReflectorDelta<Object>) {
    switch event {
    case .replaced(_, let invalid): errors.withLock { $0 += UInt64(invalid.count) }
    case .invalid: errors.withLock { $0 += 1 }
    case .applied, .deleted: break
    }
    inForce.withLock { inForce in
      switch event {
      case .replaced(let objects, let invalid):
        for object in objects { inForce[object.key] = Version(object.metadata) }
        for object in invalid { inForce[object.key] = Version(object.raw) }
      case .applied(let object): inForce[object.key] = Version(object.metadata)
      case .deleted(let key): inForce[key] = nil
      case .invalid(let key, let raw, _): inForce[key] = Version(raw)
      }
    }
  }

  /// Those of `objects` that are newer than what is in force, and those in force that are no longer there.
  func pending(_ objects: [JSONValue], kind: String) -> [ObjectKey] {
    inForce.withLock { inForce in
      var present: Set<ObjectKey> = []
      var pending: [ObjectKey] = []
      for object in objects {
        guard let key = ObjectKey(of: object, kind: kind) else { continue }
        present.insert(key)
        let wanted = Version(object)
        let isInForce = inForce[key].map { $0.generation >= wanted.generation && $0.mode == wanted.mode } ?? false
        if !isInForce { pending.append(key) }
      }
      return pending + inForce.keys.filter { $0.kind == kind && !present.contains($0) }
    }
  }
}
