import Addressing
import Datapath
import Identity
import Logging
import Policy

extension PolicyController {
  /// Makes the kernel hold the maps of `identities` and, if asked to, the blocks of addresses; asks again for all that it
  /// refused before.
  ///
  /// - Parameters:
  ///   - comparing: Leaves maps alone that are right already.
  ///   - settling: Returns when no packet is under way that may still be judged by an old map. Blocks of addresses that go
  ///     always wait for that.
  func writeKernel(
    _ identities: Set<NumericIdentity>, writesIPCache: Bool = true, comparing: Bool = false, settling: Bool = true
  ) {
    // Judged when its policy is there; also where the kernel refused it, as then the node is denied.
    defer { setHostPolicy(compiler.maps[ReservedIdentity.host.identity] != nil) }
    guard writesIPCache || refusals.missingBlocks > 0 else {
      writeMaps(identities.union(refusals.maps.keys), comparing: comparing, settling: settling)
      return
    }
    let before = Set(refusals.gaps.keys)
    let selection = IPCache.selection(of: compiler.compiled.ipcache, capacity: datapath.ipcache.capacity)
    var (held, missing) = selection
    for block in refusals.blocks {
      if let identity = held.removeValue(forKey: block) { missing[block] = identity }
    }
    setGaps(missing, held)
    deny(Set(refusals.gaps.keys).subtracting(before))
    let wanted = identities.union(refusals.maps.keys).union(before)
    // Blocks are there before the maps that tell them from the addresses around them, and go after them; what must not
    // be judged by either in between is told by the transition.
    var change: IPCache.Change?
    attempt("read the ipcache") { change = try datapath.ipcache.change(to: selection.held) }
    if let change {
      attempt("announce blocks") { try datapath.policy.announce(change.transition.coming, to: wanted) }
      addBlocks(change, selection)
    }
    let kept = writeMaps(
      wanted.subtracting(refusals.gaps.keys), comparing: comparing, keeping: change?.transition.going ?? [:])
    if let change {
      attempt("remove blocks from the ipcache") { try datapath.ipcache.remove(change) }
      attempt("forget blocks") { try datapath.policy.forget(kept) }
    }
  }

  /// Changes maps in place where that is enough, and returns whose. A map that was refused is written as a whole.
  func patch(_ change: PolicyChange, _ writesIPCache: Bool) -> Set<NumericIdentity> {
    guard !writesIPCache, refusals.isEmpty else { return [] }
    return Set(
      change.patches.compactMap { identity, patch in
        do { return try datapath.policy.apply(patch, to: identity) ? identity : nil } catch {
          logger.debug("the policy of identity \(identity) can not be changed in place: \(error)")
          return nil
        }
      })
  }

  /// To be called with `false` before the node's policy goes, and with `true` when it is there.
  func setHostPolicy(_ isOn: Bool) {
    attempt("have the node's own traffic judged: \(isOn)") { try datapath.setHostPolicy(isOn) }
  }

  /// Gives these addresses the identities of their names, or takes them back.
  func writeAddresses(_ addresses: Set<IPAddress>) {
    guard !addresses.isEmpty else { return }
    let blocks = compiler.cidrIdentities
    let nodes = compiler.nodes.addresses
    for address in addresses where nodes[address] == nil {
      attempt("write the identity of \(address)") {
        if let identity = compiler.allocations.names[address] ?? blocks[CIDR(address)]?.identity {
          try datapath.ipcache.set(CIDR(address), identity)
        } else {
          try datapath.ipcache.remove(CIDR(address))
        }
      }
    }
  }

  /// Writes these addresses again if they have an identity by their names: who asks did not find them.
  func confirmAddresses(_ addresses: Set<IPAddress>) {
    writeAddresses(
      addresses.filter { address in
        guard let identity = compiler.allocations.names[address] else { return false }
        return (try? datapath.ipcache.identity(of: address)) != identity
      })
  }

  /// Takes identities of names from addresses that have none here.
  func forgetAddresses(_ addresses: Set<IPAddress>) {
    writeAddresses(addresses.filter { compiler.allocations.names[$0] == nil })
  }

  /// The addresses in the kernel with an identity of names which nobody told of.
  func unknownAddresses() -> Set<IPAddress> {
    (try? datapath.ipcache.names(except: Set(compiler.allocations.names.assignments.keys))) ?? []
  }

  private func addBlocks(
    _ change: IPCache.Change, _ selection: (held: [CIDR: NumericIdentity], missing: [CIDR: NumericIdentity])
  ) {
    var (held, missing) = selection
    attempt("write the ipcache") {
      let refused = try datapath.ipcache.add(change)
      for block in refused.keys { missing[block] = held.removeValue(forKey: block) }
      if Set(refused.keys) != refusals.blocks, let (block, error) = refused.first {
        logger.error("the kernel refused \(refused.count) blocks of addresses, the first is \(block): \(error)")
      }
      refusals.blocks = Set(refused.keys)
      let before = refusals.gaps
      setGaps(missing, held)
      deny(Set(refusals.gaps.keys).subtracting(before.keys))
    }
  }

  private func setGaps(_ missing: [CIDR: NumericIdentity], _ held: [CIDR: NumericIdentity]) {
    if missing.count != refusals.missingBlocks, !missing.isEmpty {
      logger.error("the ipcache has no entry for \(missing.count) blocks of addresses, it holds \(held.count)")
    }
    refusals.missingBlocks = missing.count
    refusals.gaps = IdentityGaps.subjects(of: compiler.maps, missing: missing, held: held).mapValues {
      "the ipcache has no room for \($0), and the policy tells it from the addresses around it"
    }
  }

  /// Returns what ``PolicyTables/forget(_:)`` is to be told when the blocks of `going` are gone.
  @discardableResult
  private func writeMaps(
    _ identities: Set<NumericIdentity>, comparing: Bool, keeping going: [NumericIdentity: NumericIdentity] = [:],
    settling: Bool = true
  ) -> [NumericIdentity: [PolicyKey]] {
    var policies: [NumericIdentity: PolicyMapState] = [:]
    for identity in identities {
      policies[identity] = compiler.maps[identity]
      if policies[identity] == nil { refusals.maps[identity] = nil }
    }
    if comparing { policies = policies.filter { (try? datapath.policy.state($0.key)) != $0.value } }
    let (refused, kept) = datapath.policy.replace(policies, keeping: going, settling: settling)
    for (identity, error) in refused {
      if refusals.maps.updateValue("\(error)", forKey: identity) != "\(error)" {
        logger.error("the policy of identity \(identity) can not be written, it is denied everything: \(error)")
      }
    }
    deny(Set(refused.keys))
    for identity in policies.keys where refused[identity] == nil {
      if refusals.maps.removeValue(forKey: identity) != nil {
        logger.notice("the policy of identity \(identity) is in force again")
      }
    }
    return kept
  }

  /// An identity without a map is denied everything; unlike an empty map, this needs no memory.
  private func deny(_ identities: Set<NumericIdentity>) {
    for identity in identities {
      attempt("deny identity \(identity)") { try datapath.policy.remove(identity) }
    }
  }
}
