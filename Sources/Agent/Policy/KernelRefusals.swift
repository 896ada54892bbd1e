import Addressing
import Identity
import KubernetesAPI
import Policy

/// What the kernel could not be told, and what was done instead: its subjects are denied everything.
///
/// A policy is never half applied. An identity whose map can not be written loses its old map too: what an old policy
/// allowed may be what the new one denies. An identity that has no map is denied, which needs no memory.
struct KernelRefusals: Sendable {
  /// Subjects whose own map was refused, and why.
  var maps: [NumericIdentity: String] = [:]
  /// Subjects whose map depends on blocks of addresses that the ipcache has no room for; see ``IdentityGaps``.
  var gaps: [NumericIdentity: String] = [:]
  /// Blocks that the kernel refused though there should have been room.
  var blocks: Set<CIDR> = []
  /// Blocks without an entry, these and those that do not fit.
  var missingBlocks = 0
  /// The objects whose status told of a refusal last, and in which words.
  var told: [ObjectKey: [PolicyIssue]] = [:]
  private var attempts = 0

  var isEmpty: Bool { maps.isEmpty && gaps.isEmpty && missingBlocks == 0 }

  /// Why each denied subject is denied.
  var problems: [NumericIdentity: String] { maps.merging(gaps) { first, _ in first } }

  /// How long to wait before the kernel is asked again: a second at first, at most half a minute. nil when nothing was
  /// refused.
  mutating func nextPause() -> Duration? {
    guard !isEmpty else {
      attempts = 0
      return nil
    }
    defer { attempts += 1 }
    return .seconds(min(30, 1 << min(attempts, 5)))
  }
}
