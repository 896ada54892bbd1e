import Files
import Logging
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The engines of a proxy that serves, as its successor takes them over.
final class ProxyIncumbent: Incumbent {
  let sockets: [Int32]
  private let files: ProxyFiles
  private let engines: ProxyEngines
  private let duty: ProxyDuty
  private let intake: HandoverIntake
  private let metrics: ProxyMetrics
  private let writes: AddressWrites
  /// Reads the agent's files again.
  private let load: @Sendable () -> Void
  private let logger: Logger
  private let outbox = Mutex<HandoverOutbox?>(nil)

  init(
    sockets: [Int32], files: ProxyFiles, engines: ProxyEngines, duty: ProxyDuty, intake: HandoverIntake,
    metrics: ProxyMetrics, writes: AddressWrites, logger: Logger, load: @escaping @Sendable () -> Void
  ) {
    self.writes = writes
    self.files = files
    self.sockets = sockets
    self.engines = engines
    self.duty = duty
    self.intake = intake
    self.metrics = metrics
    self.load = load
    self.logger = logger
  }

  func release() -> Bool {
    writes.otherCame()
    guard engines.server.pause(), engines.dns.pause() else {
      resume()
      return false
    }
    duty.end()
    metrics.end()
    return true
  }

  func resume() {
    duty.begin()
    load()
    engines.server.resume()
    engines.dns.resume()
    metrics.begin()
    writes.otherWent()
  }

  func depart(_ outbox: HandoverOutbox?, limit: Duration, successor: pid_t) {
    // The successor says it too, but may have died since.
    tellWhoServes(successor)
    writes.otherCame()
    duty.end()
    metrics.end()
    for stream in intake.stop() { outbox?.pass(stream) }
    self.outbox.withLock { $0 = outbox }
    engines.depart(Departure(outbox: outbox, limit: limit))
  }

  /// Tells who started the two that this process serves.
  func tellWhoServes(_ process: pid_t) {
    do throws(FileError) {
      try StateFiles.write(Array("\(process)\n".utf8), to: files.serving)
    } catch {
      logger.error("\(error)")
    }
  }

  /// What is said at the end.
  func reportEnd() {
    guard let outbox = outbox.withLock({ $0 }) else { return }
    logger.notice("nothing is left here: \(outbox.count) connections were handed over")
  }
}
