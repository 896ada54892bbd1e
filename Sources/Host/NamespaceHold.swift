import Files
import KernelABI
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What this instance has of its network namespace, where other instances may be: each says what it has by abstract names, which
/// go with the process, so that nothing is left of one that crashed.
final class NamespaceHold: Sendable {
  private static let turnName = NamespaceClaim.prefix + "turn"

  private let instance: String
  private let names = Mutex<[AbstractName]>([])

  /// Has nothing yet.
  init(instance: String) { self.instance = instance }

  /// Claims what `choose` asks for, given what others have; nobody else's claims change meanwhile.
  ///
  /// - Throws: what `choose` throws, or that this instance and another one can not be told apart.
  func claim<Share>(_ choose: ([NamespaceClaim]) throws -> (Share, [NamespaceClaim])) throws -> Share {
    try NamespaceHold.exclusively {
      let present = NamespaceHold.present
      if let other = present.first(where: { ProxyMark(instance: $0.instance) == ProxyMark(instance: instance) }) {
        throw HostError(
          "the number that follows from the state directory's path is too like that of \(present.holder(other.instance)) in "
            + "this network namespace; give another --state-dir")
      }
      let (share, claims) = try choose(present)
      let taken = try claims.compactMap { try AbstractName($0.name) }
      names.withLock { $0 = taken }
      return share
    }
  }

  /// Gives everything back. No other instance comes or goes while `body` runs, which learns whether this one is the last.
  func leave(_ body: (_ isLast: Bool) throws -> Void) throws {
    try NamespaceHold.exclusively {
      defer { names.withLock { $0 = [] } }
      try body(NamespaceHold.present.allSatisfy { $0.instance == instance })
    }
  }

  private static var present: [NamespaceClaim] {
    AbstractName.all(NamespaceClaim.prefix).compactMap { NamespaceClaim(name: $0) }
  }

  /// One instance of the namespace at a time.
  private static func exclusively<Result>(_ body: () throws -> Result) throws -> Result {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      if let turn = try AbstractName(turnName) { return try withExtendedLifetime(turn) { try body() } }
      guard ContinuousClock.now < deadline else {
        throw HostError(
          "another `martlet up` of this network namespace neither begins nor ends; try again when it does")
      }
      usleep(10_000)
    }
  }
}
