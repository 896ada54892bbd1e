import Clocks
import Files
import JSON
import Logging

/// Tells how endpoints are: lines of the log, and a file for who asks.
struct HealthReporter {
  private let files: ProxyFiles?
  private let duty: ProxyDuty
  private let logger: Logger
  private var written: HealthReport?
  /// When the file is next to be written, if it is not as it should be.
  private(set) var due: UInt64?
  private var lastWrite: UInt64 = 0

  /// Nanoseconds between two writes: many endpoints may change at once.
  private static let pause: UInt64 = 100_000_000
  /// And before it is tried again, where another proxy speaks.
  private static let silence: UInt64 = 1_000_000_000

  init(files: ProxyFiles?, duty: ProxyDuty, logger: Logger) {
    self.duty = duty
    self.files = files
    self.logger = logger
  }

  func warn(_ cluster: ClusterMetrics.Key, _ address: SocketAddress, _ text: String) {
    logger.warning("\(line(cluster, address)) \(text)")
  }

  func note(_ cluster: ClusterMetrics.Key, _ address: SocketAddress, _ text: String) {
    logger.notice("\(line(cluster, address)) \(text)")
  }

  private func line(_ cluster: ClusterMetrics.Key, _ address: SocketAddress) -> String {
    "\(cluster.object), cluster \(cluster.cluster): endpoint \(address)"
  }

  mutating func report(hasChanged: Bool, now: UInt64, _ make: () -> HealthReport) {
    guard let files else { return }
    if hasChanged, due == nil { due = max(now, lastWrite.later(by: HealthReporter.pause)) }
    guard let due, due <= now else { return }
    self.due = nil
    lastWrite = now
    let report = make()
    guard report != written else { return }
    self.due = now.later(by: HealthReporter.silence)
    duty.perform {
      self.due = nil
      do throws(FileError) {
        try StateFiles.write(Array((report.json.text() + "\n").utf8), to: files.health)
        written = report
      } catch {
        logger.error("how endpoints are can not be told: \(error)")
      }
    }
  }

  /// A point of the monotonic clock, as a time of day.
  static func text(_ time: UInt64) -> String { Timestamp.text(Timestamp.bootTime() &+ time) }
}

extension HealthReport {
  /// What the proxy of an instance said last; nil where it has said nothing yet.
  public init?(_ files: ProxyFiles) throws {
    guard let content = try StateFiles.readIfPresent(files.health) else { return nil }
    try self.init(JSONCursor(JSONValue(parsing: content)))
  }
}
