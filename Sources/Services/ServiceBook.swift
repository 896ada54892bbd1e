import Addressing
import JSON
import KubernetesAPI

/// The Services and EndpointSlices of a cluster as one node sees them, and what of that has to be compiled again.
///
///     var book = ServiceBook(node: NodeFacts(name: "a"))
///     book.apply(services)
///     book.apply(endpointSlices)
///     let changes = book.takeChanges()
///
/// A change of a slice compiles its Service alone; a change of a Service also those that want the same frontends.
public struct ServiceBook: Sendable {
  private enum Entry: Sendable {
    case readable(ServiceSpec)
    case unreadable(ServiceProblem)

    var spec: ServiceSpec? { if case .readable(let spec) = self { spec } else { nil } }
  }

  public let settings: ServiceSettings
  private var node: NodeFacts
  private var services: [ServiceName: Entry] = [:]
  private var slices: [String: SliceContent] = [:]
  /// Service -> the keys in `slices`, also of Services that are not there yet.
  private var members: [ServiceName: Set<String>] = [:]
  private var claims = FrontendClaims()
  private var changed: Set<ServiceName> = []
  private var redirects: [ServiceName: [ServiceRedirect]] = [:]

  public init(node: NodeFacts, settings: ServiceSettings = ServiceSettings()) {
    self.node = node
    self.settings = settings
  }

  /// What a node knows of itself decides which backends are local and which are near, so everything is compiled again.
  public mutating func set(_ facts: NodeFacts) {
    guard facts != node else { return }
    node = facts
    changed.formUnion(services.keys)
  }

  /// Whose traffic goes to the proxy from now on, also of Services that are not there yet. Of two redirects of one port the
  /// first counts.
  public mutating func set(_ new: [ServiceName: [ServiceRedirect]]) {
    for name in Set(new.keys).union(redirects.keys) where new[name] != redirects[name] && services[name] != nil {
      changed.insert(name)
    }
    redirects = new
  }

  /// The numbers and names of a Service's ports of TCP; empty when there is no such Service.
  public func portNames(of name: ServiceName) -> [String] {
    (services[name]?.spec?.targets ?? []).flatMap { ["\($0.id.port)"] + ($0.name.isEmpty ? [] : [$0.name]) }
  }

  /// The endpoints that serve a port of a Service now, sorted: those that new connections of this node would get. Empty
  /// where there are none, nil where there is no such port.
  ///
  /// - Parameter port: a number or a name; nil for the Service's only port of TCP.
  public func endpoints(of name: ServiceName, port: String?) -> [BackendAddress]? {
    guard let spec = services[name]?.spec, let port = spec.target(port) else { return nil }
    var found: [BackendAddress: ServiceEndpoint] = [:]
    for key in (members[name] ?? []).sorted() { slices[key]?.gather(port, spec, node, into: &found) }
    let families = Dictionary(grouping: found.values.sorted { $0.backend < $1.backend }) {
      IPFamily(of: $0.backend.address)
    }
    return families.values.flatMap { EndpointSelection.cluster($0, node).map(\.backend) }.sorted()
  }

  /// What a port of a Service says is spoken there, as `appProtocol`.
  ///
  /// - Parameter port: as of ``endpoints(of:port:)``.
  public func application(of name: ServiceName, port: String?) -> String? {
    services[name]?.spec?.target(port)?.application
  }

  public mutating func apply(_ delta: ReflectorDelta<Service>) {
    switch delta {
    case .replaced(let all, let invalid):
      var gone = Set(services.keys)
      for service in all {
        gone.remove(ServiceName(service.metadata))
        set(ServiceName(service.metadata), .readable(ServiceSpec(service, settings)))
      }
      for object in invalid {
        gone.remove(ServiceName(object.key))
        setUnreadable(object.key, object.error)
      }
      for name in gone { set(name, nil) }
    case .applied(let service): set(ServiceName(service.metadata), .readable(ServiceSpec(service, settings)))
    case .deleted(let key): set(ServiceName(key), nil)
    case .invalid(let key, _, let error): setUnreadable(key, error)
    }
  }

  public mutating func apply(_ delta: ReflectorDelta<EndpointSlice>) {
    switch delta {
    case .replaced(let all, let invalid):
      var gone = Set(slices.keys)
      for slice in all {
        gone.remove(ServiceBook.key(slice.key))
        set(ServiceBook.key(slice.key), SliceContent(slice))
      }
      for object in invalid {
        gone.remove(ServiceBook.key(object.key))
        setUnreadable(object.key, object.raw, object.error)
      }
      for key in gone { set(key, nil) }
    case .applied(let slice): set(ServiceBook.key(slice.key), SliceContent(slice))
    case .deleted(let key): set(ServiceBook.key(key), nil)
    case .invalid(let key, let raw, let error): setUnreadable(key, raw, error)
    }
  }

  /// What has changed since the last call, compiled; nil for a Service that is gone.
  public mutating func takeChanges() -> [ServiceName: CompiledService?] {
    let names = changed
    changed = []
    return Dictionary(uniqueKeysWithValues: names.map { ($0, compiled($0)) })
  }

  public var hasChanges: Bool { !changed.isEmpty }

  public var names: Set<ServiceName> { Set(services.keys) }

  /// What is to be done for one Service; nil when there is none.
  public func compiled(_ name: ServiceName) -> CompiledService? {
    switch services[name] {
    case nil: return nil
    // What it asks for is unknown, so it gets nothing: to go on with what it asked for before would hide the fault.
    case .unreadable(let problem):
      return CompiledService(name: name, frontends: [], balancers: [:], problems: [problem])
    case .readable(let spec):
      let keys = (members[name] ?? []).sorted()
      let compiler = ServiceCompiler(spec: spec, node: node, lost: lost(spec), redirects: redirects[name] ?? [])
      return compiler.compile(keys.compactMap { slices[$0] })
    }
  }

  private func lost(_ spec: ServiceSpec) -> [FrontendKey: ServiceName] {
    var lost: [FrontendKey: ServiceName] = [:]
    for (key, wish) in spec.wishes {
      guard let contenders = claims.contenders(key) else { continue }
      var best = (spec, wish)
      for name in contenders {
        guard let other = services[name]?.spec, let its = other.wishes[key] else { continue }
        if ServiceSpec.precedes((other, its), best) { best = (other, its) }
      }
      if best.0.name != spec.name { lost[key] = best.0.name }
    }
    return lost
  }

  /// The Services that ask for a frontend; one of them has it.
  func claimants(_ key: FrontendKey) -> [ServiceName] { claims.claimants(key) }

  /// The number of a Service's port that has a name, where the Service has this address.
  public func port(named name: String, at address: IPAddress, _ transport: TransportProtocol) -> UInt16? {
    for spec in services.values.compactMap(\.spec) {
      let named = spec.ports.filter { $0.name == name }.map(\.id)
      let wish = spec.wishes.first { key, wish in
        key.address == address && key.protocol == transport && named.contains(wish.port)
      }
      if let wish { return wish.key.port }
    }
    return nil
  }

  private static func key(_ key: ObjectKey) -> String { "\(key.namespace ?? "default")/\(key.name)" }

  private mutating func setUnreadable(_ key: ObjectKey, _ error: FieldError) {
    set(ServiceName(key), .unreadable(ServiceProblem(path: error.path, message: error.message)))
  }

  private mutating func set(_ name: ServiceName, _ entry: Entry?) {
    if let old = services[name]?.spec {
      changed.formUnion(claims.rivals(old.wishes.keys, of: name))
      claims.remove(name, old.wishes.keys)
    }
    if let new = entry?.spec {
      changed.formUnion(claims.rivals(new.wishes.keys, of: name))
      claims.add(name, new.wishes.keys)
    }
    services[name] = entry
    changed.insert(name)
  }

  private mutating func setUnreadable(_ key: ObjectKey, _ raw: JSONValue, _ error: FieldError) {
    let service = raw[path: "metadata", "labels", EndpointSlice.serviceNameLabel]?.stringValue
    set(ServiceBook.key(key), service.map { SliceContent(unreadable: key, of: $0, "\(error)") })
  }

  private mutating func set(_ key: String, _ new: SliceContent?) {
    if let old = slices.removeValue(forKey: key) {
      members[old.service]?.remove(key)
      if members[old.service]?.isEmpty == true { members[old.service] = nil }
      if services[old.service] != nil { changed.insert(old.service) }
    }
    guard let new else { return }
    slices[key] = new
    members[new.service, default: []].insert(key)
    if services[new.service] != nil { changed.insert(new.service) }
  }
}
