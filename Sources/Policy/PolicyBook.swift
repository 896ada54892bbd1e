import Addressing
import Identity
import KubernetesAPI
import Labels

/// Keeps policies lowered while what they refer to changes. A value: each input gives the change that the compiler needs,
/// or nil when there is none.
public struct PolicyBook: Sendable {
  private struct Version: Equatable {
    let uid: String
    let generation: Int64
    /// A change of annotations is no new generation.
    let mode: String?
  }

  /// A policy that refers to other objects is kept, to be lowered again with them.
  private struct Dependent {
    let document: PolicyDocument
    let lower: @Sendable (PolicyContext) -> PolicyDocument
  }

  /// What policies can refer to now.
  public private(set) var context: PolicyContext
  private var versions: [ObjectKey: Version] = [:]
  private var dependents: [ObjectKey: Dependent] = [:]
  private var services = ServiceDirectory()
  private var nodes: NodeBook

  /// - Parameters:
  ///   - cluster: the name of the cluster.
  ///   - node: the name of this node.
  public init(cluster: String = "default", node: String) {
    context = PolicyContext(cluster: cluster)
    nodes = NodeBook(name: node)
  }

  /// Takes what is known at the start, in any order, with the whole of each kind among it.
  public mutating func start(_ inputs: [ClusterInput]) -> (policies: [PolicyDocument], nodes: NodeIdentities) {
    for input in inputs where !input.isPolicy { _ = apply(input) }
    var policies: [ObjectKey: PolicyDocument] = [:]
    for input in inputs where input.isPolicy {
      let delta = apply(input)
      for key in delta?.removedPolicies ?? [] { policies[key] = nil }
      for document in delta?.changedPolicies ?? [] { policies[document.key] = document }
    }
    return (policies.values.sorted { $0.key < $1.key }, nodes.identities())
  }

  public mutating func apply(_ input: ClusterInput) -> PolicyDelta? {
    switch input {
    case .network(let delta): policies(delta) { object, _ in PolicyDocument(object) }
    case .cilium(let delta): policies(delta) { PolicyDocument($0, in: $1) }
    case .clusterwide(let delta): policies(delta) { PolicyDocument($0, in: $1) }
    case .cidrGroups(let delta): groups(delta)
    case .secret(let name, let delta): secret(name, delta)
    case .services(let delta): follow(services.apply(delta))
    case .endpointSlices(let delta): follow(services.apply(delta))
    case .endpoints(let delta): follow(services.apply(delta))
    case .nodes(let delta): self.delta(nodes.apply(delta))
    case .ciliumNodes(let delta): self.delta(nodes.apply(delta))
    case .hostAddresses(let addresses): self.delta(nodes.setHostAddresses(addresses))
    }
  }

  // MARK: Policies

  private mutating func policies<Object: KubernetesObject>(
    _ event: ReflectorDelta<Object>, _ lower: @escaping @Sendable (Object, PolicyContext) -> PolicyDocument
  ) -> PolicyDelta? {
    var delta = PolicyDelta()
    switch event {
    case .replaced(let objects, let invalid):
      delta.changedPolicies = objects.compactMap { document($0, lower) }
      for object in invalid { delta.changedPolicies.append(closedDoor(object)) }
    case .applied(let object): delta.changedPolicies = document(object, lower).map { [$0] } ?? []
    case .deleted(let key): if versions[key] != nil { delta.removedPolicies = [key] }
    case .invalid(let key, let raw, let error):
      delta.changedPolicies = [closedDoor(InvalidObject(key: key, raw: raw, error: error))]
    }
    for key in delta.removedPolicies {
      versions[key] = nil
      dependents[key] = nil
    }
    return delta.changedPolicies.isEmpty && delta.removedPolicies.isEmpty ? nil : delta
  }

  private mutating func closedDoor(_ object: InvalidObject) -> PolicyDocument {
    versions[object.key] = Version(uid: "", generation: -1, mode: nil)
    dependents[object.key] = nil
    return PolicyDocument(undecodable: object.raw, key: object.key, error: object.error)
  }

  /// nil for an event that only touches the object's status, or metadata without meaning here.
  private mutating func document<Object: KubernetesObject>(
    _ object: Object, _ lower: @escaping @Sendable (Object, PolicyContext) -> PolicyDocument
  ) -> PolicyDocument? {
    let version = Version(
      uid: object.metadata.uid, generation: object.metadata.generation,
      mode: object.metadata.annotations[PolicyMode.annotation])
    guard versions.updateValue(version, forKey: object.key) != version else { return nil }
    let document = lower(object, context)
    dependents[object.key] =
      document.references.isEmpty ? nil : Dependent(document: document) { lower(object, $0) }
    return document
  }

  /// Lowers those again that refer to objects of this kind.
  private mutating func lowerAgain(_ reference: PolicyContext.Reference) -> PolicyDelta? {
    var delta = PolicyDelta()
    for (key, dependent) in dependents where dependent.document.references.contains(reference) {
      let document = dependent.lower(context)
      guard document != dependent.document else { continue }
      dependents[key] = Dependent(document: document, lower: dependent.lower)
      delta.changedPolicies.append(document)
    }
    return delta.changedPolicies.isEmpty ? nil : delta
  }

  // MARK: What they refer to

  private mutating func groups(_ event: ReflectorDelta<CiliumCIDRGroup>) -> PolicyDelta? {
    let before = context.cidrGroups
    func value(_ group: CiliumCIDRGroup) -> PolicyContext.CIDRGroup {
      PolicyContext.CIDRGroup(labels: group.metadata.labels, cidrs: group.cidrs)
    }
    switch event {
    case .replaced(let groups, _):
      context.cidrGroups = Dictionary(groups.map { ($0.metadata.name, value($0)) }) { $1 }
    case .applied(let group): context.cidrGroups[group.metadata.name] = value(group)
    // A group that can not be read is none.
    case .deleted(let key), .invalid(let key, _, _): context.cidrGroups[key.name] = nil
    }
    return context.cidrGroups == before ? nil : lowerAgain(.cidrGroups)
  }

  /// The Secrets that policies name now.
  public var secretNames: Set<PolicyContext.SecretName> {
    var names: Set<PolicyContext.SecretName> = []
    for dependent in dependents.values {
      for case .secret(let name) in dependent.document.references { names.insert(name) }
    }
    return names
  }

  private mutating func secret(
    _ name: PolicyContext.SecretName, _ event: ReflectorDelta<Secret>
  ) -> PolicyDelta? {
    let before = context.secrets
    // What is no longer named is not kept.
    let named = secretNames.union([name])
    context.secrets = before.filter { named.contains($0.key) }
    switch event {
    case .replaced(let secrets, _): context.secrets[name] = secrets.first { $0.metadata.name == name.name }?.data
    case .applied(let secret): context.secrets[name] = secret.data
    case .deleted, .invalid: context.secrets[name] = nil
    }
    return context.secrets[name] == before[name] ? nil : lowerAgain(.secret(name))
  }

  private mutating func follow(_ changed: Set<PolicyContext.ServiceName>) -> PolicyDelta? {
    var delta: PolicyDelta?
    var isNews = false
    for name in changed where context.services[name] != services[name] {
      context.services[name] = services[name]
      isNews = true
    }
    if isNews { delta = lowerAgain(.services) }
    guard changed.contains(ServiceDirectory.apiServer),
      nodes.setAPIServers(services.addresses(ServiceDirectory.apiServer))
    else { return delta }
    delta = delta ?? PolicyDelta()
    delta?.nodes = nodes.identities()
    return delta
  }

  private mutating func delta(_ nodesChanged: Bool) -> PolicyDelta? {
    guard nodesChanged else { return nil }
    var delta = PolicyDelta()
    delta.nodes = nodes.identities()
    return delta
  }
}
