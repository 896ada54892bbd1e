import Addressing
import Datapath
import KubernetesAPI
import Logging
import Policy
import Synchronization

/// Where pods go with their own address: to all nodes and their pods, and to what the operator excepts from masquerading.
final class NativeRouting: Sendable {
  private struct State {
    var nodes: [String: [CIDR]] = [:]
    /// What the table was told last, without a problem.
    var written: Set<CIDR>?
    var problem: String?
  }

  private let own: Set<CIDR>
  private let table: NativeBlocks
  private let logger: Logger
  private let state = Mutex(State())

  /// - Parameters:
  ///   - pods: the blocks of this node's pods, which are known before its Node object is.
  ///   - exceptions: those of the operator.
  init(pods: [CIDR], exceptions: [CIDR], table: NativeBlocks, logger: Logger) {
    own = Set(pods).union(exceptions)
    self.table = table
    self.logger = logger
  }

  /// Why the kernel does not have them all; nil when it has.
  var problem: String? { state.withLock(\.problem) }

  /// Takes up the nodes among the inputs; the others are passed over.
  func take(_ inputs: [ClusterInput]) {
    let isAboutNodes = state.withLock { state in
      var isAboutNodes = false
      for case .nodes(let delta) in inputs {
        isAboutNodes = true
        switch delta {
        case .replaced(let nodes, _):
          state.nodes = nodes.reduce(into: [:]) { $0[$1.metadata.name] = NativeRouting.blocks($1) }
        case .applied(let node): state.nodes[node.metadata.name] = NativeRouting.blocks(node)
        case .deleted(let key): state.nodes[key.name] = nil
        // Its pods keep the addresses that they have.
        case .invalid: break
        }
      }
      return isAboutNodes
    }
    if isAboutNodes { write() }
  }

  private static func blocks(_ node: Node) -> [CIDR] { node.podCIDRs + node.internalIPs.map { CIDR($0) } }

  /// Tells the kernel what it does not have yet.
  func write() {
    state.withLock { state in
      let blocks = state.nodes.values.reduce(into: own) { $0.formUnion($1) }
      guard state.written != blocks else { return }
      do {
        try table.reconcile(blocks)
        state.written = blocks
        state.problem = nil
      } catch {
        let problem = "the kernel does not know all blocks that pods reach with their own address: \(error)"
        if state.problem != problem { logger.error("\(problem)") }
        state.problem = problem
      }
    }
  }
}
