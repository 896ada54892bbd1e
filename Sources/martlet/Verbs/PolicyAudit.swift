import JSON
import KubernetesAPI
import NodeAPI
import Policy

/// Applies policies so that they are only watched: `martlet policy diff FILE --audit`.
struct PolicyAudit {
  /// Why nothing was applied.
  enum Failure: Error, CustomStringConvertible {
    case noPolicy(kind: String)
    case enforced(ObjectKey)

    var description: String {
      switch self {
      case .noPolicy(let kind): "\"\(kind)\" is not a policy: only policies can be audited"
      case .enforced(let key):
        "\(key) is enforced now, and auditing it would open what it closes: give the candidate a name of its own, or "
          + "annotate that one with \(PolicyMode.annotation)=\(PolicyMode.audit.rawValue)"
      }
    }
  }

  private static let types = [
    NetworkPolicy.resource, CiliumNetworkPolicy.resource, CiliumClusterwideNetworkPolicy.resource,
  ]
  /// What `kubectl apply` compares with, so that a file without the annotation takes it away again.
  private static let lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

  let client: KubernetesClient

  /// Returns what was applied. Nothing is where one of them is no policy, or is enforced.
  func apply(_ documents: [JSONValue]) async throws -> [ObjectKey] {
    var changes: [(type: ResourceType, key: ObjectKey, object: JSONValue, isNew: Bool)] = []
    for document in documents {
      let kind = document["kind"]?.stringValue ?? ""
      guard let type = PolicyAudit.types.first(where: { $0.kind == kind }) else { throw Failure.noPolicy(kind: kind) }
      let wanted = PolicyAudit.annotated(document, type)
      guard let name = wanted[path: "metadata", "name"]?.stringValue else {
        throw FieldError(path: "metadata.name", message: "required")
      }
      let key = ObjectKey(kind: kind, namespace: wanted[path: "metadata", "namespace"]?.stringValue, name: name)
      let live = try await existing(type, key)
      let mode = live?[path: "metadata", "annotations", PolicyMode.annotation]?.stringValue
      if live != nil, mode != PolicyMode.audit.rawValue { throw Failure.enforced(key) }
      changes.append((type, key, live.map { PolicyAudit.replacing($0, by: wanted) } ?? wanted, live == nil))
    }
    for change in changes {
      // With the version that was looked at: one that is enforced meanwhile is a conflict.
      if change.isNew {
        _ = try await client.create(change.type, change.object)
      } else {
        _ = try await client.update(change.type, change.object)
      }
    }
    return changes.map(\.key)
  }

  private func existing(_ type: ResourceType, _ key: ObjectKey) async throws(KubernetesError) -> JSONValue? {
    do throws(KubernetesError) {
      return try await client.get(type, namespace: key.namespace, name: key.name)
    } catch {
      if error.isNotFound { return nil }
      throw error
    }
  }

  /// The object as `kubectl apply` would send it, had the file the annotation.
  static func annotated(_ document: JSONValue, _ type: ResourceType) -> JSONValue {
    var object = document
    object["status"] = nil
    object["apiVersion"] = object["apiVersion"] ?? .string(type.apiVersion)
    var metadata = object["metadata"] ?? [:]
    let serverFields = ["resourceVersion", "uid", "generation", "creationTimestamp", "managedFields"]
    for field in serverFields { metadata[field] = nil }
    metadata["namespace"] = type.namespaced ? metadata["namespace"] ?? "default" : nil
    var annotations = metadata["annotations"] ?? [:]
    annotations[lastApplied] = nil
    annotations[PolicyMode.annotation] = .string(PolicyMode.audit.rawValue)
    metadata["annotations"] = annotations
    object["metadata"] = metadata
    let text = object.text() + "\n"
    object["metadata"]?["annotations"]?[lastApplied] = .string(text)
    return object
  }

  /// What is there, with the content of `wanted`; labels and annotations that others wrote stay.
  static func replacing(_ live: JSONValue, by wanted: JSONValue) -> JSONValue {
    var object = live
    for field in ["spec", "specs"] { object[field] = wanted[field] }
    let before = live[path: "metadata", "annotations", lastApplied]?.stringValue.flatMap { try? JSONValue(parsing: $0) }
    for field in ["labels", "annotations"] {
      var members = live[path: "metadata", field]?.objectValue ?? [:]
      for name in (before?[path: "metadata", field]?.objectValue ?? [:]).keys { members[name] = nil }
      members.merge(wanted[path: "metadata", field]?.objectValue ?? [:]) { $1 }
      object["metadata"]?[field] = .object(members)
    }
    return object
  }
}
