import Logging
import Services
import Synchronization

/// Keeps the kernel told in whose names this node's backends answer clients that other nodes send on to them.
public final class DirectReturns: Sendable {
  private struct State {
    var wanted: [ServiceName: Set<DirectReturn>] = [:]
    /// Why the table has not all of them; nil when it has.
    var problem: String?
  }

  private let table: DirectReturnTable
  private let logger: Logger
  private let state = Mutex(State())

  init(_ table: DirectReturnTable, logger: Logger) {
    self.table = table
    self.logger = logger
  }

  /// Why some backends can not answer directly; nil when all can.
  public var problem: String? { state.withLock(\.problem) }

  /// How full the table is, as it is followed.
  public var usage: MapUsage {
    MapUsage(
      .directReturns, entries: state.withLock { $0.wanted.values.reduce(0) { $0 + $1.count } }, capacity: table.capacity
    )
  }

  /// Makes the table have what these Services give and nothing else.
  public func start(with services: [ServiceName: CompiledService]) {
    state.withLock { state in
      state.wanted = services.mapValues(\.directReturns).filter { !$0.value.isEmpty }
      writeAll(&state)
    }
  }

  /// Puts changes in force; nil is for a Service that is gone.
  public func apply(_ changes: [ServiceName: CompiledService?]) {
    state.withLock { state in
      var gone: Set<DirectReturn> = []
      var new: Set<DirectReturn> = []
      for (name, service) in changes {
        let before = state.wanted[name] ?? []
        let after = service?.directReturns ?? []
        gone.formUnion(before.subtracting(after))
        new.formUnion(after.subtracting(before))
        state.wanted[name] = after.isEmpty ? nil : after
      }
      if state.problem != nil { return writeAll(&state) }
      do {
        // A frontend may have gone from one Service to another.
        try table.remove(gone.subtracting(new))
        try table.add(new)
      } catch {
        fail(&state, "\(error)")
      }
    }
  }

  /// Tries again what was refused.
  public func retry() { state.withLock { if $0.problem != nil { writeAll(&$0) } } }

  private func writeAll(_ state: inout State) {
    do {
      try table.reconcile(state.wanted.values.reduce(into: []) { $0.formUnion($1) })
      state.problem = nil
    } catch {
      fail(&state, "\(error)")
    }
  }

  private func fail(_ state: inout State, _ reason: String) {
    let problem = "not every backend here can answer clients of other nodes directly: \(reason)"
    if state.problem != problem { logger.error("\(problem)") }
    state.problem = problem
  }
}
