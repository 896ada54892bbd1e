import Synchronization

/// The routes in force: one snapshot for all workers, replaced as a whole.
public final class RouteStore: Sendable {
  /// Counts replacements. A worker that sees the number it knows has the current snapshot.
  private let version = Atomic<UInt64>(1)
  private let snapshot: Mutex<RouteSnapshot>
  /// Held by who replaces the snapshot, so that it is made without keeping the workers from the one in force.
  private let writer = Mutex<@Sendable () -> Void>({})
  /// Where what becomes of requests is counted.
  let registry: RouteRegistry

  /// Starts without listeners, so that no request is routed.
  ///
  /// - Parameters:
  ///   - accessLogs: The folder for the files of access logs; nil: none are written.
  ///   - tracing: For listeners that say nothing of traces.
  public convenience init(
    _ snapshot: RouteSnapshot = RouteSnapshot(), accessLogs: String? = nil, tracing: NodeTracing? = nil
  ) {
    self.init(snapshot, outlets: Outlets(folder: accessLogs, tracing: tracing))
  }

  init(_ snapshot: RouteSnapshot = RouteSnapshot(), outlets: Outlets) {
    self.snapshot = Mutex(snapshot)
    registry = RouteRegistry(outlets: outlets)
  }

  /// Writes and sends what access logs and spans still have to tell.
  public func finish() { registry.outlets.finish() }

  /// Puts `new` into force: it routes every request whose head is complete after this returns.
  public func replace(with new: RouteSnapshot) {
    let replaced = writer.withLock { replaced in
      put(new.refreshed())
      return replaced
    }
    replaced()
  }

  /// Takes up how the health of endpoints is now.
  func refresh() {
    writer.withLock { _ in
      let known = current
      let new = known.refreshed()
      if zip(known.listeners.values, new.listeners.values).contains(where: { $0 !== $1 }) { put(new) }
    }
  }

  /// - Parameter body: Called whenever the routes have been replaced.
  func setReplaced(_ body: @escaping @Sendable () -> Void) { writer.withLock { $0 = body } }

  private func put(_ new: RouteSnapshot) {
    snapshot.withLock {
      $0 = new
      version.add(1, ordering: .releasing)
    }
  }

  /// The snapshot in force.
  public var current: RouteSnapshot { snapshot.withLock { $0 } }

  @inline(__always)
  var currentVersion: UInt64 { version.load(ordering: .acquiring) }

  var versioned: (UInt64, RouteSnapshot) {
    snapshot.withLock { (version.load(ordering: .acquiring), $0) }
  }
}

/// What routes requests at one time.
public struct RouteSnapshot: Sendable {
  /// By their numbers, which the datapath gives with a connection.
  public var listeners: [UInt32: RoutedListener]

  public init(listeners: [UInt32: RoutedListener] = [:]) { self.listeners = listeners }

  /// The same as the health of endpoints is now.
  func refreshed() -> RouteSnapshot { RouteSnapshot(listeners: listeners.mapValues { $0.refreshed() }) }
}
