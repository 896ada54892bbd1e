import JSON
import KubernetesAPI

/// One write that brings slices closer to what they should say.
enum SliceWrite: Hashable, Sendable {
  case create(JSONValue)
  /// The whole slice, with the version it was made from.
  case update(JSONValue)
  case delete(name: String, uid: String)

  static func delete(_ slice: JSONValue) -> SliceWrite {
    .delete(
      name: slice[path: "metadata", "name"]?.stringValue ?? "",
      uid: slice[path: "metadata", "uid"]?.stringValue ?? "")
  }
}

/// Finds the writes that turn the slices there are into the slices there should be.
struct SliceReconciliation {
  static let manager = "endpointslice-controller.k8s.io"

  private let service: Service
  private let labels: JSONValue

  init(_ service: Service) {
    self.service = service
    var labels: [String: JSONValue] = service.metadata.labels.mapValues(JSONValue.string)
    labels[EndpointSlice.serviceNameLabel] = .string(service.metadata.name)
    labels[EndpointSlice.managedByLabel] = .string(SliceReconciliation.manager)
    labels[EndpointSlice.headlessLabel] = service.isHeadless ? "" : nil
    self.labels = .object(labels)
  }

  /// In the order to be made: what makes slices longer comes first, so that an endpoint that moves is told twice for a
  /// moment and never left out.
  func writes(_ wishes: SliceWishes, existing: [JSONValue]) -> [SliceWrite] {
    var groups = wishes.groups
    // A family without endpoints has one slice: "nobody" is an answer, too.
    for family in SliceWishes.families(service) where !groups.keys.contains(where: { $0.family == family }) {
      groups[SliceWishes.Group(family: family, ports: [])] = [:]
    }
    var slices: [SliceWishes.Group: [JSONValue]] = [:]
    var deletes: [SliceWrite] = []
    for slice in existing {
      if let group = SliceReconciliation.group(slice), groups[group] != nil {
        slices[group, default: []].append(slice)
      } else {
        deletes.append(.delete(slice))
      }
    }
    var growing: [SliceWrite] = []
    var shrinking: [SliceWrite] = []
    for (group, endpoints) in groups {
      let packing = SlicePacking(endpoints, into: slices[group] ?? [], labels: labels)
      for draft in packing.drafts {
        guard let slice = draft.slice else {
          growing.append(.create(made(group, draft.endpoints)))
          continue
        }
        if draft.isSuperfluous {
          deletes.append(.delete(slice))
        } else if draft.isChanged {
          let write = SliceWrite.update(changed(slice, draft.endpoints))
          if draft.endpoints.count > draft.before { growing.append(write) } else { shrinking.append(write) }
        }
      }
    }
    return growing + shrinking + deletes
  }

  /// What the slice says about family and ports; nil where the controller would not have written it so.
  private static func group(_ slice: JSONValue) -> SliceWishes.Group? {
    guard let family = slice["addressType"]?.stringValue.flatMap(IPFamily.init(rawValue:)) else { return nil }
    return SliceWishes.Group(family: family, ports: slice["ports"]?.arrayValue ?? [])
  }

  private func made(_ group: SliceWishes.Group, _ endpoints: [JSONValue]) -> JSONValue {
    let metadata = service.metadata
    return [
      "apiVersion": .string(EndpointSlice.resource.apiVersion), "kind": .string(EndpointSlice.resource.kind),
      "metadata": [
        "generateName": .string(metadata.name + "-"), "namespace": .string(metadata.namespace ?? "default"),
        "labels": labels,
        "ownerReferences": [
          [
            "apiVersion": "v1", "kind": "Service", "name": .string(metadata.name), "uid": .string(metadata.uid),
            "controller": true, "blockOwnerDeletion": true,
          ]
        ],
      ],
      "addressType": .string(group.family.rawValue), "endpoints": .array(endpoints), "ports": .array(group.ports),
    ]
  }

  private func changed(_ slice: JSONValue, _ endpoints: [JSONValue]) -> JSONValue {
    var slice = slice
    slice["endpoints"] = .array(endpoints)
    var metadata = slice["metadata"] ?? [:]
    metadata["labels"] = labels
    slice["metadata"] = metadata
    return slice
  }
}
