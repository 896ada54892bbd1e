import JSON
import KubernetesAPI
import Labels

/// What there is: Services with selectors, pods, the controller's slices and the zones of nodes. Knows which Services a
/// change concerns without looking at all of them.
struct EndpointSliceBook: Sendable {
  struct Name: Hashable, Sendable {
    let namespace: String
    let name: String
  }

  /// A label within a namespace: what Services and pods are found by.
  private struct Label: Hashable {
    let namespace: String
    let key: String
    let value: String
  }

  private struct StoredSlice {
    let service: Name
    let version: UInt64
    let raw: JSONValue
  }

  /// Of all Services.
  private var uids: [Name: String] = [:]
  /// Those whose slices the controller writes.
  private var services: [Name: Service] = [:]
  private var pods: [Name: SlicePod] = [:]
  private var slices: [Name: StoredSlice] = [:]
  private var zones: [String: String] = [:]
  /// Each Service under one label of its selector.
  private var servicesByLabel: [Label: Set<Name>] = [:]
  private var podsByLabel: [Label: Set<Name>] = [:]
  private var slicesByService: [Name: Set<Name>] = [:]
  private var told: Set<String> = []
  /// The Services whose slices may be out of date.
  private(set) var stale: Set<Name> = []

  /// Whether all kinds were listed; before, an absence says nothing.
  var isComplete: Bool { told.count == 4 }

  mutating func markStale(_ name: Name) { stale.insert(name) }

  /// Takes the Services that `isDue` out of the stale ones, at most so many.
  mutating func takeStale(_ limit: Int, isDue: (Name) -> Bool) -> [Name] {
    var taken: [Name] = []
    for name in stale where taken.count < limit && isDue(name) { taken.append(name) }
    stale.subtract(taken)
    return taken
  }

  /// The writes that a Service's slices need. Slices of a Service that has gone go with their owner, but for one that was
  /// written at that moment.
  func writes(_ name: Name) -> [SliceWrite] {
    var existing = (slicesByService[name] ?? []).sorted { $0.name < $1.name }.compactMap { slices[$0]?.raw }
    let uid = uids[name]
    let strangers = existing.filter { EndpointSliceBook.owner($0) != uid }
    guard let service = services[name], let selector = service.selector else {
      // A Service that has lost its selector leaves its slices to whoever writes them from then on.
      return uid == nil ? strangers.map(SliceWrite.delete) : []
    }
    existing.removeAll { EndpointSliceBook.owner($0) != uid }
    let wishes = SliceWishes(service, matching(selector, name.namespace)) { zones[$0] }
    return SliceReconciliation(service).writes(wishes, existing: existing) + strangers.map(SliceWrite.delete)
  }

  private static func owner(_ slice: JSONValue) -> String? {
    slice[path: "metadata", "ownerReferences"]?.arrayValue?.first?["uid"]?.stringValue
  }

  private func matching(_ selector: LabelSet, _ namespace: String) -> [SlicePod] {
    let sets = selector.map { podsByLabel[Label(namespace: namespace, key: $0.key, value: $0.value)] ?? [] }
    guard let smallest = sets.min(by: { $0.count < $1.count }) else { return [] }
    return smallest.compactMap { pods[$0] }.filter { EndpointSliceBook.matches(selector, $0.labels) }
  }

  private static func matches(_ selector: LabelSet, _ labels: LabelSet) -> Bool {
    selector.allSatisfy { labels[$0.key] == $0.value }
  }

  private func services(selecting pod: SlicePod) -> [Name] {
    pod.labels.flatMap { key, value in
      (servicesByLabel[Label(namespace: pod.namespace, key: key, value: value)] ?? []).filter { name in
        services[name]?.selector.map { EndpointSliceBook.matches($0, pod.labels) } ?? false
      }
    }
  }
}

// Services.
extension EndpointSliceBook {
  mutating func apply(_ delta: ReflectorDelta<Service>) {
    switch delta {
    case .replaced(let all, _):
      told.insert("services")
      for service in all { put(service) }
    case .applied(let service): put(service)
    case .invalid(let key, _, _): removeService(EndpointSliceBook.name(key))
    case .deleted(let key):
      let name = EndpointSliceBook.name(key)
      removeService(name)
      uids[name] = nil
      // The news of its slices' end may have come first, and have made the controller write one again.
      if slicesByService[name] != nil { stale.insert(name) }
    }
  }

  private mutating func put(_ service: Service) {
    let name = EndpointSliceBook.name(service.key)
    removeService(name)
    uids[name] = service.metadata.uid
    // Without a selector the endpoints are somebody else's, and an external name has none.
    guard let selector = service.selector, !selector.isEmpty, service.type != .externalName else { return }
    services[name] = service
    if let label = anchor(selector, name) { servicesByLabel[label, default: []].insert(name) }
    stale.insert(name)
  }

  private mutating func removeService(_ name: Name) {
    guard let old = services.removeValue(forKey: name), let label = anchor(old.selector ?? [:], name) else { return }
    servicesByLabel[label]?.remove(name)
    if servicesByLabel[label]?.isEmpty == true { servicesByLabel[label] = nil }
  }

  private func anchor(_ selector: LabelSet, _ name: Name) -> Label? {
    selector.min { $0.key < $1.key }.map { Label(namespace: name.namespace, key: $0.key, value: $0.value) }
  }

  static func name(_ key: ObjectKey) -> Name { Name(namespace: key.namespace ?? "default", name: key.name) }
}

// Pods and nodes.
extension EndpointSliceBook {
  mutating func apply(_ delta: ReflectorDelta<Pod>) {
    switch delta {
    case .replaced(let all, _):
      told.insert("pods")
      for pod in all { put(SlicePod(pod), EndpointSliceBook.name(pod.key)) }
    case .applied(let pod): put(SlicePod(pod), EndpointSliceBook.name(pod.key))
    case .deleted(let key), .invalid(let key, _, _): put(nil, EndpointSliceBook.name(key))
    }
  }

  private mutating func put(_ pod: SlicePod?, _ name: Name) {
    let old = pods[name]
    guard old != pod else { return }
    if let old {
      stale.formUnion(services(selecting: old))
      if old.labels != pod?.labels { index(old.labels, name) { $0.remove(name) } }
    }
    pods[name] = pod
    guard let pod else { return }
    if old?.labels != pod.labels { index(pod.labels, name) { $0.insert(name) } }
    stale.formUnion(services(selecting: pod))
  }

  private mutating func index(_ labels: LabelSet, _ name: Name, _ change: (inout Set<Name>) -> Void) {
    for (key, value) in labels {
      let label = Label(namespace: name.namespace, key: key, value: value)
      change(&podsByLabel[label, default: []])
      if podsByLabel[label]?.isEmpty == true { podsByLabel[label] = nil }
    }
  }

  mutating func apply(_ delta: ReflectorDelta<Node>) {
    switch delta {
    case .replaced(let all, _):
      told.insert("nodes")
      for node in all { put(node.metadata.labels["topology.kubernetes.io/zone"], of: node.metadata.name) }
    case .applied(let node): put(node.metadata.labels["topology.kubernetes.io/zone"], of: node.metadata.name)
    case .deleted(let key), .invalid(let key, _, _): put(nil, of: key.name)
    }
  }

  private mutating func put(_ zone: String?, of node: String) {
    guard zones[node] != zone else { return }
    zones[node] = zone
    stale.formUnion(services.keys)
  }
}

// Slices.
extension EndpointSliceBook {
  mutating func apply(_ delta: ReflectorDelta<EndpointSlice>) {
    switch delta {
    case .replaced(let all, _):
      told.insert("slices")
      for slice in all { note(slice.raw) }
    case .applied(let slice): note(slice.raw)
    case .invalid(_, let raw, _): note(raw)
    case .deleted(let key): forget(EndpointSliceBook.name(key))
    }
  }

  /// A slice as it is now: told by the watch, or the answer to a write, which comes earlier.
  mutating func note(_ raw: JSONValue, isOwn: Bool = false) {
    guard let service = raw[path: "metadata", "labels", EndpointSlice.serviceNameLabel]?.stringValue,
      let name = raw[path: "metadata", "name"]?.stringValue
    else { return }
    let namespace = raw[path: "metadata", "namespace"]?.stringValue ?? "default"
    let key = Name(namespace: namespace, name: name)
    let version = raw[path: "metadata", "resourceVersion"]?.stringValue.flatMap { UInt64($0) } ?? 0
    let stored = StoredSlice(service: Name(namespace: namespace, name: service), version: version, raw: raw)
    if let old = slices[key] {
      guard old.version < version else { return }
      if old.service != stored.service { forget(key) }
    }
    slices[key] = stored
    slicesByService[stored.service, default: []].insert(key)
    // What a write of the controller's own did was planned; what has changed since then says so itself.
    if !isOwn || uids[stored.service] == nil { stale.insert(stored.service) }
  }

  mutating func forget(_ key: Name, isOwn: Bool = false) {
    guard let old = slices.removeValue(forKey: key) else { return }
    slicesByService[old.service]?.remove(key)
    if slicesByService[old.service]?.isEmpty == true { slicesByService[old.service] = nil }
    if !isOwn { stale.insert(old.service) }
  }
}
