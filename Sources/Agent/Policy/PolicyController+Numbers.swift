import Datapath
import Identity
import Logging
import Policy
import ProxyRules

extension PolicyController {
  /// Numbers for rule sets that nobody still uses: not the proxy's configuration, no tracked connection and no policy in
  /// the kernel, all of which outlive an agent. A connection of an old number is never judged by a new rule set.
  static func allocations(
    beyond configured: [UInt32], names: NameTable?, _ datapath: Datapath, _ logger: Logger
  ) -> PolicyAllocations {
    var used = Set(configured)
    do {
      used.formUnion(try datapath.connections.proxyRules())
      used.formUnion(try datapath.policy.proxyRules())
    } catch {
      logger.error("the rule sets in use can not be read: \(error)")
    }
    var allocations = PolicyAllocations()
    // The proxy goes on using these while there is no agent.
    if let names { allocations.names = NameIdentities(table: names) }
    // The highest is nobody's: the proxy takes it for connections that the kernel does not know.
    if let range = FreeNumbers.widestRun(in: 1...UInt32.max - 1, avoiding: used) {
      allocations.ruleSets = NumberAllocator(range: range, order: .cycling)
    }
    return allocations
  }
}
