import BPF
import CMartletABI
import KernelABI
import Synchronization

/// The one entry of `martlet_config`: the node's settings and revisions, as programs and the proxy read them.
final class NodeConfiguration: Sendable {
  let map: BPFMap<UInt32, martlet_config>
  private let changing = Mutex(())

  init(map: BPFMap<UInt32, martlet_config>) { self.map = map }

  /// nil before it is written first.
  var entry: martlet_config? { get throws(BPFError) { try map.lookup(0) } }

  func write(_ entry: martlet_config) throws(BPFError) { try map.update(0, entry) }

  /// Changes the entry, if there is one.
  func change(_ body: (inout martlet_config) -> Void) throws(BPFError) {
    // One at a time: of two that read the same entry, the slower one would undo the other's change.
    let result = changing.withLock { _ -> Result<Void, BPFError> in
      Result { () throws(BPFError) in
        guard var entry = try entry else { return }
        body(&entry)
        try write(entry)
      }
    }
    try result.get()
  }

  /// Says that addresses may mean others than until now; to be called when the maps say so.
  fileprivate func bumpAddressRevision() throws(BPFError) {
    try change { $0.address_revision = NodeConfiguration.addressRevision(after: $0.address_revision) }
  }

  /// 0 is that of an agent that does not count.
  static func addressRevision(after previous: UInt32) -> UInt32 { previous == .max ? 1 : previous + 1 }
}

extension NodeConfiguration? {
  /// Tells of the addresses that `body` changes, also where it does not come to its end. Where there is no configuration,
  /// nobody is told.
  func changingAddresses<Result>(_ body: () throws(BPFError) -> Result) throws(BPFError) -> Result {
    let result: Result
    do throws(BPFError) { result = try body() } catch {
      try self?.bumpAddressRevision()
      throw error
    }
    try self?.bumpAddressRevision()
    return result
  }
}
