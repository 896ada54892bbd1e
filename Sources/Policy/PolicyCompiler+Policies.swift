import Addressing
import Identity
import KubernetesAPI
import ProxyRules

extension PolicyCompiler {
  mutating func updatePolicies(_ delta: PolicyDelta, _ change: inout PolicyChange) {
    var added: [CIDR] = []
    var removed: [CIDR] = []
    var patterns: (added: [DNSNamePattern], removed: [DNSNamePattern]) = ([], [])
    let replaced = Set(delta.changedPolicies.map(\.key))
    for key in delta.removedPolicies.sorted() where !replaced.contains(key) {
      guard let old = detach(key) else { continue }
      removed += old.cidrs
      patterns.removed += old.patterns
      release(old, replacedBy: nil)
      handles[key] = nil
      status[key] = nil
      ownStatus[key] = nil
      change.status.insert(key)
      change.rules = true
    }
    for document in delta.changedPolicies.sorted(by: { $0.key < $1.key }) {
      let old = detach(document.key)
      let new = resolve(document)
      if let old {
        removed += old.cidrs
        patterns.removed += old.patterns
        release(old, replacedBy: new)
      }
      added += new.cidrs
      patterns.added += new.patterns
      attach(new)
      let outcome = PolicyObjectStatus(document)
      if ownStatus[document.key] != outcome { change.status.insert(document.key) }
      ownStatus[document.key] = outcome
      // What others' rules make of it is found when the maps are made.
      status[document.key] = outcome
      conflicted.insert(document.key)
      change.rules = true
    }
    updateCIDRs(adding: added, removing: removed, &change)
    allocations.names.change(adding: patterns.added, removing: patterns.removed)
  }

  /// Follows the names of addresses, and the patterns and blocks that give them identities.
  mutating func updateNames(_ delta: PolicyDelta, _ change: inout PolicyChange) {
    allocations.names.setNames(delta.names)
    allocations.names.setBlocks(change.cidrs.isEmpty ? nil : allocations.cidrs.blocks)
    let outcome = allocations.names.settle()
    for identity in outcome.removed { setLabels(identity, nil) }
    for (identity, labels) in outcome.added.sorted(by: { $0.key < $1.key }) { setLabels(identity, labels) }
    change.addresses.formUnion(outcome.addresses)
    if outcome.changesTable { change.names = true }
  }

  private mutating func updateCIDRs(adding added: [CIDR], removing removed: [CIDR], _ change: inout PolicyChange) {
    follow(allocations.cidrs.change(adding: added, removing: removed), &change)
  }

  /// Takes over the identities of blocks that changed.
  mutating func follow(_ changed: [CIDR], _ change: inout PolicyChange) {
    for cidr in changed where allocations.cidrs.labels(cidr) == nil {
      guard let old = cidrIdentities.removeValue(forKey: cidr) else { continue }
      setLabels(old.identity, nil)
      change.cidrs.insert(cidr)
    }
    for cidr in changed {
      guard let labels = allocations.cidrs.labels(cidr), let identity = allocations.cidrs[cidr] else { continue }
      let new = CIDRIdentity(identity: identity, labels: labels)
      guard cidrIdentities[cidr] != new else { continue }
      cidrIdentities[cidr] = new
      setLabels(identity, labels)
      change.cidrs.insert(cidr)
    }
  }

  /// Takes a policy out of the indices; its subjects must be rebuilt. Its numbers stay allocated.
  private mutating func detach(_ key: ObjectKey) -> ResolvedPolicy? {
    guard let handle = handles[key], let policy = policies.removeValue(forKey: handle) else { return nil }
    for section in policy.sections {
      PolicyCompiler.remove(handle, from: &subjectUsers, section.subject)
      for identity in selectors.matches(section.subject) where subjects[identity] != nil {
        subjects[identity]?.policies.remove(handle)
        dirty[identity] = .all
      }
      for selector in section.rules.flatMap({ $0.narrow + $0.requires }) {
        PolicyCompiler.remove(handle, from: &peerUsers, selector)
      }
      for selector in section.rules.flatMap(\.wide).flatMap(\.selectors) {
        PolicyCompiler.remove(handle, from: &widePeerUsers, selector)
      }
    }
    namedPortUsers.remove(handle)
    requiringPolicies.remove(handle)
    return policy
  }

  private mutating func attach(_ policy: ResolvedPolicy) {
    let handle: Int
    if let existing = handles[policy.key] {
      handle = existing
    } else {
      lastHandle += 1
      handle = lastHandle
      handles[policy.key] = handle
    }
    policies[handle] = policy
    for section in policy.sections {
      subjectUsers[section.subject, default: []].insert(handle)
      for identity in selectors.matches(section.subject) where subjects[identity] != nil {
        subjects[identity]?.policies.insert(handle)
        dirty[identity] = .all
      }
      for selector in section.rules.flatMap({ $0.narrow + $0.requires }) {
        peerUsers[selector, default: []].insert(handle)
      }
      for selector in section.rules.flatMap(\.wide).flatMap(\.selectors) {
        widePeerUsers[selector, default: []].insert(handle)
      }
      if section.rules.contains(where: { !$0.requires.isEmpty }) { requiringPolicies.insert(handle) }
    }
    if policy.namesPortsOfPeers { namedPortUsers.insert(handle) }
  }

  private static func remove(
    _ handle: Int, from users: inout [SelectorCache.ID: Set<Int>], _ selector: SelectorCache.ID
  ) {
    users[selector]?.remove(handle)
    if users[selector]?.isEmpty == true { users[selector] = nil }
  }
}
