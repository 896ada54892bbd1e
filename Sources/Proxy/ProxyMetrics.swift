import Logging
import NodeMetrics
import Synchronization

/// The listener for Prometheus, which only the proxy that serves has.
final class ProxyMetrics: Sendable {
  private let address: MetricsAddress
  private let logger: Logger
  private let collect: @Sendable () async -> [MetricFamily]
  private let task = Mutex<Task<Void, Never>?>(nil)

  init(_ address: MetricsAddress, logger: Logger, _ collect: @escaping @Sendable () async -> [MetricFamily]) {
    self.address = address
    self.logger = logger
    self.collect = collect
  }

  func begin() {
    task.withLock { task in
      guard task == nil else { return }
      task = Task { [address, logger, collect] in
        await MetricsListener.serve(
          address, report: { problem in if let problem { logger.error("\(problem); trying again") } }, collect)
      }
    }
  }

  func end() {
    let ended = task.withLock { task in
      defer { task = nil }
      return task
    }
    ended?.cancel()
  }
}
