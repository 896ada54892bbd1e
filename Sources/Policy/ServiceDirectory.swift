import Addressing
import KubernetesAPI
import Labels

/// Services and the addresses behind them.
struct ServiceDirectory: Sendable {
  typealias Name = PolicyContext.ServiceName

  /// The Service that every cluster's API server keeps for itself.
  static let apiServer = Name(namespace: "default", name: "kubernetes")

  private struct Slice {
    let service: Name
    let addresses: Set<IPAddress>
  }

  private var details: [Name: (labels: LabelSet, selector: LabelSet?)] = [:]
  private var slices: [ObjectKey: Slice] = [:]
  /// Service -> the keys in `slices`.
  private var members: [Name: Set<ObjectKey>] = [:]

  subscript(name: Name) -> PolicyContext.Service? {
    details[name].map { details in
      PolicyContext.Service(
        labels: details.labels, selector: details.selector,
        addresses: details.selector == nil ? addresses(name) : [])
    }
  }

  func addresses(_ name: Name) -> Set<IPAddress> {
    (members[name] ?? []).reduce(into: []) { $0.formUnion(slices[$1]?.addresses ?? []) }
  }

  /// Each returns the Services that may have changed.
  mutating func apply(_ event: ReflectorDelta<Service>) -> Set<Name> {
    switch event {
    case .replaced(let services, _): return services.reduce(into: []) { $0.insert(set($1)) }
    case .applied(let service): return [set(service)]
    case .deleted(let key), .invalid(let key, _, _):
      details[ServiceDirectory.name(key)] = nil
      return [ServiceDirectory.name(key)]
    }
  }

  mutating func apply(_ event: ReflectorDelta<EndpointSlice>) -> Set<Name> {
    apply(event) { slice in
      slice.serviceName.map { service in
        Slice(
          service: Name(namespace: slice.metadata.namespace ?? "default", name: service),
          addresses: Set(slice.endpoints.flatMap(\.addresses)))
      }
    }
  }

  mutating func apply(_ event: ReflectorDelta<Endpoints>) -> Set<Name> {
    apply(event) { endpoints in
      Slice(
        service: ServiceDirectory.name(endpoints.key),
        addresses: Set(endpoints.subsets.flatMap { $0.backends.flatMap(\.addresses) }))
    }
  }

  private static func name(_ key: ObjectKey) -> Name { Name(namespace: key.namespace ?? "default", name: key.name) }

  private mutating func set(_ service: Service) -> Name {
    let selector = service.selector.flatMap { $0.isEmpty ? nil : $0 }
    details[ServiceDirectory.name(service.key)] = (service.metadata.labels, selector)
    return ServiceDirectory.name(service.key)
  }

  private mutating func apply<Object: KubernetesObject>(
    _ event: ReflectorDelta<Object>, _ slice: (Object) -> Slice?
  ) -> Set<Name> {
    var changed: Set<Name> = []
    switch event {
    case .replaced(let objects, _):
      for object in objects { set(object.key, slice(object), &changed) }
    case .applied(let object): set(object.key, slice(object), &changed)
    case .deleted(let key), .invalid(let key, _, _): set(key, nil, &changed)
    }
    return changed
  }

  private mutating func set(_ key: ObjectKey, _ new: Slice?, _ changed: inout Set<Name>) {
    if let old = slices.removeValue(forKey: key) {
      members[old.service]?.remove(key)
      if members[old.service]?.isEmpty == true { members[old.service] = nil }
      changed.insert(old.service)
    }
    guard let new else { return }
    slices[key] = new
    members[new.service, default: []].insert(key)
    changed.insert(new.service)
  }
}
