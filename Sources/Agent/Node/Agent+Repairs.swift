import CNI
import Datapath

extension Agent {
  /// Puts back what somebody has removed of the datapath: nothing else would notice, as packets then go on unjudged or are
  /// lost. To be called now and then.
  func repairDatapath() async {
    do {
      let gateways = try configuration.podCIDRs.map { try AddressPool($0).gateway }
      var made: [DatapathRepairs.Part: [String]] = [.nodeDevice: [], .rule: [], .route: []]
      for part in try network.repair(addresses: gateways) {
        switch part {
        case .device(let what): made[.nodeDevice, default: []].append(what)
        case .rule(let what): made[.rule, default: []].append(what)
        case .route(let what): made[.route, default: []].append(what)
        }
      }
      for (part, what) in made { repairs.record(part, repaired: what) }
    } catch {
      repairs.record(.nodeDevice, failure: "\(error)")
    }
    repairs.attempt(.devicePrograms) {
      try datapath.host.repair().map { "a program on device \($0)" }
        + datapath.wire.repair().map { "the XDP program on device \($0)" }
    }
    repairs.attempt(.proxyLookup) {
      if try datapath.proxyLookup.isAttached() { return [] }
      try datapath.proxyLookup.attach()
      return ["the program that finds the proxy's listener"]
    }
    if let cgroups = configuration.socketCgroups { repairSockets(cgroups) }
    let (repaired, failure) = await endpoints.repairPrograms()
    repairs.record(.podPrograms, repaired: repaired.map { "the programs of pod \($0)" })
    if let failure { repairs.record(.podPrograms, failure: failure) }
  }

  func noteHealthySockets(_ cgroups: SocketCgroups) {
    let hooks = (try? DatapathPins(root: configuration.directory.pins).socketHooks(cgroups)) ?? []
    healthySocketHooks.withLock { $0 = Set(hooks.filter(\.isHealthy).map(\.name)) }
  }

  /// Only hooks that this agent has seen in order: one that this kernel lacks is not tried again and again.
  private func repairSockets(_ cgroups: SocketCgroups) {
    repairs.attempt(.socketPrograms) {
      let hooks = try DatapathPins(root: configuration.directory.pins).socketHooks(cgroups)
      let healthy = Set(hooks.filter(\.isHealthy).map(\.name))
      let lost = healthySocketHooks.withLock { known in
        let lost = known.subtracting(healthy)
        known.formUnion(healthy)
        return lost
      }
      if lost.isEmpty { return [] }
      try datapath.sockets.attach(cgroups)
      return lost.sorted().map { "the program \($0) at the sockets" }
    }
  }
}
