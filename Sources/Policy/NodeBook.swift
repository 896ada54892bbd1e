import Addressing
import Identity
import KubernetesAPI
import Labels

/// The nodes of the cluster, from Node and CiliumNode objects: labels of the first, addresses of both.
struct NodeBook: Sendable {
  private struct Entry: Equatable {
    var labels: LabelSet?
    var addresses: Set<IPAddress> = []
    /// Of the CiliumNode; its labels stand in where there is no Node.
    var mirrored: (labels: LabelSet, addresses: Set<IPAddress>)?

    static func == (left: Entry, right: Entry) -> Bool {
      left.labels == right.labels && left.addresses == right.addresses
        && left.mirrored?.labels == right.mirrored?.labels && left.mirrored?.addresses == right.mirrored?.addresses
    }
  }

  private let name: String
  private var entries: [String: Entry] = [:]
  private var hostAddresses: Set<IPAddress> = []
  private var apiServers: Set<IPAddress> = []
  private var allocator = NodeIdentityAllocator()

  init(name: String) { self.name = name }

  mutating func identities() -> NodeIdentities {
    var host = NodeDescription(name: name, addresses: hostAddresses)
    var others: [NodeDescription] = []
    for (name, entry) in entries {
      let addresses = entry.addresses.union(entry.mirrored?.addresses ?? [])
      let labels = entry.labels ?? entry.mirrored?.labels ?? [:]
      if name == self.name {
        host.labels = labels
        host.addresses.formUnion(addresses)
      } else {
        others.append(NodeDescription(name: name, labels: labels, addresses: addresses))
      }
    }
    return allocator.identities(host: host, others: others, apiServers: apiServers)
  }

  /// Each of these returns whether anything changed.
  mutating func apply(_ event: ReflectorDelta<Node>) -> Bool {
    apply(
      event,
      set: { entry, node in
        entry.labels = node.metadata.labels
        entry.addresses = Set(node.internalIPs + node.externalIPs)
      },
      clear: { entry in
        entry.labels = nil
        entry.addresses = []
      })
  }

  mutating func apply(_ event: ReflectorDelta<CiliumNode>) -> Bool {
    apply(
      event, set: { $0.mirrored = ($1.metadata.labels, Set($1.addresses.map(\.ip))) }, clear: { $0.mirrored = nil })
  }

  mutating func setHostAddresses(_ addresses: Set<IPAddress>) -> Bool {
    defer { hostAddresses = addresses }
    return addresses != hostAddresses
  }

  mutating func setAPIServers(_ addresses: Set<IPAddress>) -> Bool {
    defer { apiServers = addresses }
    return addresses != apiServers
  }

  private mutating func apply<Object: KubernetesObject>(
    _ event: ReflectorDelta<Object>, set: (inout Entry, Object) -> Void, clear: (inout Entry) -> Void
  ) -> Bool {
    let before = entries
    switch event {
    case .replaced(let objects, _):
      for object in objects { set(&entries[object.metadata.name, default: Entry()], object) }
    case .applied(let object): set(&entries[object.metadata.name, default: Entry()], object)
    case .deleted(let key), .invalid(let key, _, _): clear(&entries[key.name, default: Entry()])
    }
    entries = entries.filter { $0.value != Entry() }
    return entries != before
  }
}
