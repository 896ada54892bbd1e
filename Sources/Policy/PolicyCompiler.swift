import Addressing
import Identity
import KubernetesAPI
import ProxyRules

/// Compiles policies into kernel maps, keeping what it needs to redo only what a change touches. A value: no I/O, no
/// clock, and the same calls give the same result.
///
///     var compiler = PolicyCompiler()
///     let change = compiler.update(PolicyDelta(snapshot))
///     for subject in change.maps { write(subject, compiler.maps[subject]) }
public struct PolicyCompiler: Sendable {
  /// What must be redone of a subject's map.
  enum Dirt {
    case all
    /// The entries of these peers.
    case peers(Set<NumericIdentity>)
  }

  struct Subject {
    /// Handles of the policies that select it.
    var policies: Set<Int> = []
    var slots: Set<RuleSetSlot> = []
    /// By the entry that they are about; only where there are some.
    var conflicts: [PolicyKey: [ProtocolConflict]] = [:]
  }

  public let options: PolicyOptions
  public internal(set) var allocations: PolicyAllocations
  public internal(set) var maps: [NumericIdentity: PolicyMapState] = [:]
  public internal(set) var rules = RuleTable()
  /// By id.
  public internal(set) var ruleSets: [UInt32: RuleSet] = [:]
  public internal(set) var status: [ObjectKey: PolicyObjectStatus] = [:]
  /// What each object says by itself, and those of which others' rules change that.
  var ownStatus: [ObjectKey: PolicyObjectStatus] = [:]
  var conflicted: Set<ObjectKey> = []
  public internal(set) var cidrIdentities: [CIDR: CIDRIdentity] = [:]
  public private(set) var nodes = NodeIdentities()

  /// See ``takeReselected()``.
  var reselected: Set<NumericIdentity> = []

  var selectors = SelectorCache()
  /// Only of identities that have some; sorted.
  var namedPorts: [NumericIdentity: [NamedPort]] = [:]
  var subjects: [NumericIdentity: Subject] = [:]
  var policies: [Int: ResolvedPolicy] = [:]
  var handles: [ObjectKey: Int] = [:]
  var lastHandle = 0
  /// Selector -> the policies whose subject it is, and those of which it is a peer.
  var subjectUsers: [SelectorCache.ID: Set<Int>] = [:]
  var peerUsers: [SelectorCache.ID: Set<Int>] = [:]
  /// As `peerUsers`, for selectors that mean whole classes of peers: only while some rule narrows them do the maps depend
  /// on who is there.
  var widePeerUsers: [SelectorCache.ID: Set<Int>] = [:]
  /// The policies that narrow the peers of others.
  var requiringPolicies: Set<Int> = []
  var census = PodCensus()
  /// Policies whose maps depend on the named ports of peers.
  var namedPortUsers: Set<Int> = []
  var ruleLists: [Int: RuleList] = [:]
  var listOrigins: [Int: RuleListOrigin] = [:]
  var lastRuleList = 0
  var dirty: [NumericIdentity: Dirt] = [:]

  /// - Parameter allocations: those of an earlier compiler, so that its numbers stay.
  public init(options: PolicyOptions = PolicyOptions(), allocations: PolicyAllocations = PolicyAllocations()) {
    self.options = options
    self.allocations = allocations
    self.allocations.cidrs.forgetUses()
    self.allocations.names.forgetUses()
    for reserved in ReservedIdentity.allCases { _ = selectors.set(reserved.identity, reserved.labels) }
  }

  /// Every identity that the compiler knows, with its labels.
  public var knownIdentities: [NumericIdentity: IdentityLabels] { selectors.labels }

  /// Everything, as one value.
  public var compiled: CompiledPolicy {
    CompiledPolicy(
      maps: maps, rules: rules, ruleSets: ruleSets.values.sorted { $0.id < $1.id }, status: status,
      cidrIdentities: cidrIdentities, nameIdentities: allocations.names.assignments, nodeAddresses: nodes.addresses)
  }

  /// Compiles a snapshot from nothing. `allocations` is what an earlier compilation left, and then what this one leaves.
  public static func compile(
    _ snapshot: PolicySnapshot, options: PolicyOptions = PolicyOptions(), allocations: inout PolicyAllocations
  ) -> CompiledPolicy {
    var compiler = PolicyCompiler(options: options, allocations: allocations)
    _ = compiler.update(PolicyDelta(snapshot))
    compiler.releaseUnused()
    allocations = compiler.allocations
    return compiler.compiled
  }

  /// Applies a change.
  public mutating func update(_ delta: PolicyDelta) -> PolicyChange {
    var change = PolicyChange()
    removeSubjects(delta.removedSubjects, &change)
    for identity in delta.removedIdentities.sorted() where delta.changedIdentities[identity] == nil {
      set(identity, nil)
    }
    for (identity, details) in delta.changedIdentities.sorted(by: { $0.key < $1.key }) { set(identity, details) }
    if let nodes = delta.nodes { set(nodes, &change) }
    updatePolicies(delta, &change)
    updateNames(delta, &change)
    addSubjects(delta.addedSubjects)
    followHost(&change)
    rebuild(&change)
    reportConflicts(&change)
    return change
  }

  /// Gives the numbers back that earlier compilers allocated and nothing uses now.
  public mutating func releaseUnused() {
    for (reference, id) in allocations.rules.numbers where rules.origins[id] == nil {
      allocations.rules.release(reference)
    }
    for (slot, id) in allocations.ruleSets.numbers where ruleSets[id] == nil {
      allocations.ruleSets.release(slot)
    }
    allocations.cidrs.releaseUnused()
    allocations.names.releaseUnused()
  }

  private mutating func removeSubjects(_ removed: Set<NumericIdentity>, _ change: inout PolicyChange) {
    for identity in removed {
      guard let subject = subjects.removeValue(forKey: identity) else { continue }
      maps[identity] = nil
      dirty[identity] = nil
      reselected.insert(identity)
      change.removedMaps.insert(identity)
      release(subject.slots, &change)
    }
  }

  private mutating func addSubjects(_ added: Set<NumericIdentity>) {
    for identity in added where subjects[identity] == nil {
      var subject = Subject()
      for selector in selectors.selectors(matching: identity) {
        if let users = subjectUsers[selector] { subject.policies.formUnion(users) }
      }
      subjects[identity] = subject
      dirty[identity] = .all
    }
  }

  /// The node itself is a subject as long as some policy selects it.
  private mutating func followHost(_ change: inout PolicyChange) {
    let host = ReservedIdentity.host.identity
    if selectors.selectors(matching: host).contains(where: { subjectUsers[$0] != nil }) {
      addSubjects([host])
    } else {
      removeSubjects([host], &change)
    }
  }

  private mutating func set(_ new: NodeIdentities, _ change: inout PolicyChange) {
    guard new != nodes else { return }
    for identity in nodes.labels.keys.sorted() where new.labels[identity] == nil {
      setLabels(identity, ReservedIdentity(rawValue: identity.rawValue)?.labels)
    }
    for (identity, labels) in new.labels.sorted(by: { $0.key < $1.key }) { setLabels(identity, labels) }
    nodes = new
    change.nodes = true
    follow(allocations.cidrs.setAPIServers(new.apiServers), &change)
  }

  private mutating func set(_ identity: NumericIdentity, _ details: IdentityDetails?) {
    // The reserved identities are what they are, and those of nodes come with the nodes.
    guard !identity.isReserved, identity != .any else { return }
    if (selectors.labels[identity] == nil) != (details == nil), subjects[identity] != nil { dirty[identity] = .all }
    setLabels(identity, details?.labels)
    let ports = (details?.namedPorts ?? []).sorted()
    guard namedPorts[identity] ?? [] != ports else { return }
    namedPorts[identity] = ports.isEmpty ? nil : ports
    if subjects[identity] != nil { dirty[identity] = .all }
    for handle in namedPortUsers { markPeers([identity], of: handle) }
  }

  mutating func setLabels(_ identity: NumericIdentity, _ labels: IdentityLabels?) {
    let namesEachPeer = !requiringPolicies.isEmpty || !census.isRegular
    if census.replace(identity, selectors.labels[identity], by: labels), !widePeerUsers.isEmpty {
      for subject in subjects.keys { dirty[subject] = .all }
    }
    for selector in selectors.set(identity, labels) {
      for handle in peerUsers[selector] ?? [] { markPeers([identity], of: handle) }
      if namesEachPeer { for handle in widePeerUsers[selector] ?? [] { markPeers([identity], of: handle) } }
      guard subjects[identity] != nil else { continue }
      for handle in subjectUsers[selector] ?? [] {
        if selects(handle, identity) {
          subjects[identity]?.policies.insert(handle)
        } else {
          subjects[identity]?.policies.remove(handle)
        }
      }
      dirty[identity] = .all
    }
  }

  private func selects(_ handle: Int, _ identity: NumericIdentity) -> Bool {
    policies[handle]?.sections.contains { selectors.matches($0.subject, identity) } ?? false
  }

  /// The entries of these peers must be redone in the maps of all subjects of a policy.
  private mutating func markPeers(_ peers: Set<NumericIdentity>, of handle: Int) {
    if subjects.isEmpty { return }
    for section in policies[handle]?.sections ?? [] {
      for subject in selectors.matches(section.subject) where subjects[subject] != nil {
        switch dirty[subject] {
        case .all: break
        case .peers(let others): dirty[subject] = .peers(others.union(peers))
        case nil: dirty[subject] = .peers(peers)
        }
      }
    }
  }
}
