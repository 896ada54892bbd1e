import NodeMetrics
import Policy

/// How long policy takes on this node.
struct PolicyTimes: Sendable {
  /// Of compiling everything, at the agent's start.
  private(set) var full = Duration.zero
  /// Of compiling changes since then.
  private(set) var compiling = Duration.zero
  /// From taking a change up to having it in force, compiling included.
  private(set) var applying = Duration.zero
  private(set) var changes: UInt64 = 0

  /// Compiles what the agent starts with.
  mutating func compileAll(_ delta: PolicyDelta, with compiler: inout PolicyCompiler) {
    full = ContinuousClock().measure { _ = compiler.update(delta) }
  }

  /// Compiles a change.
  mutating func compile(_ delta: PolicyDelta, with compiler: inout PolicyCompiler) -> PolicyChange {
    changes += 1
    let began = ContinuousClock.now
    defer { compiling += ContinuousClock.now - began }
    return compiler.update(delta)
  }

  mutating func countApplied(since began: ContinuousClock.Instant) { applying += ContinuousClock.now - began }

  var families: [MetricFamily] {
    [
      MetricFamily(
        "martlet_policy_full_compile_seconds", .gauge, "Time that compiling everything took at the agent's start.",
        [.init(full / .seconds(1))]),
      MetricFamily("martlet_policy_changes_total", .counter, "Changes that were compiled since then.", changes),
      MetricFamily(
        "martlet_policy_compile_seconds_total", .counter, "Time spent on compiling changes, in seconds.",
        [.init(compiling / .seconds(1))]),
      MetricFamily(
        "martlet_policy_apply_seconds_total", .counter,
        "Time from taking up changes to having them in force, in seconds.", [.init(applying / .seconds(1))]),
    ]
  }
}
