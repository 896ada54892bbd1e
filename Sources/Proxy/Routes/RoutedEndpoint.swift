import Synchronization

/// A server of a cluster. The same object for as long as the cluster has the address, so what is counted lives on.
public final class RoutedEndpoint: Sendable {
  public let address: SocketAddress
  /// What `auto_host_rewrite` makes the authority; empty for none.
  public let hostname: String
  private let activeRequests = Atomic<Int>(0)
  private let allRequests = Atomic<UInt64>(0)
  private let failedRequests = Atomic<UInt64>(0)

  init(_ address: SocketAddress, hostname: String) {
    self.address = address
    self.hostname = hostname
  }

  /// A request is on its way here; ``ended(failed:)`` follows exactly once.
  func began() {
    activeRequests.wrappingAdd(1, ordering: .relaxed)
    allRequests.wrappingAdd(1, ordering: .relaxed)
  }

  /// It was answered, or given up. `failed`: there was no connection, no whole answer, or one of 5xx.
  func ended(failed: Bool) {
    activeRequests.wrappingSubtract(1, ordering: .relaxed)
    if failed { failedRequests.wrappingAdd(1, ordering: .relaxed) }
  }

  /// Requests that have begun and not ended.
  public var active: Int { activeRequests.load(ordering: .relaxed) }
  public var total: UInt64 { allRequests.load(ordering: .relaxed) }
  public var failures: UInt64 { failedRequests.load(ordering: .relaxed) }
}
