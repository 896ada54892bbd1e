public import ProxyRules
import Synchronization

/// The rules in force: one table for all workers, replaced as a whole.
public final class RuleStore: Sendable {
  /// Counts replacements. A worker that sees the number it knows has the current table.
  private let version = Atomic<UInt64>(1)
  private let table: Mutex<RuleSetTable>

  /// Starts with no rule sets, so that every request is denied.
  public init(_ table: RuleSetTable = .empty) {
    self.table = Mutex(table)
  }

  /// Puts `new` into force: it judges every request whose head is complete after this returns.
  public func replace(with new: RuleSetTable) {
    table.withLock {
      $0 = new
      version.add(1, ordering: .releasing)
    }
  }

  /// The table in force.
  public var current: RuleSetTable { table.withLock { $0 } }

  @inline(__always)
  var currentVersion: UInt64 { version.load(ordering: .acquiring) }

  var versioned: (UInt64, RuleSetTable) {
    table.withLock { (version.load(ordering: .acquiring), $0) }
  }
}
