import Clocks
import Logging
import NodeMetrics
import Synchronization

/// What of the datapath somebody has removed and this agent has put back.
final class DatapathRepairs: Sendable {
  /// Label `part` of the metric.
  enum Part: String, CaseIterable {
    case nodeDevice = "node_device"
    case rule
    case route
    case podPrograms = "pod_programs"
    case devicePrograms = "device_programs"
    case socketPrograms = "socket_programs"
    case proxyLookup = "proxy_lookup"
  }

  private struct State {
    var counts: [Part: Int] = [:]
    var last: String?
    var failures: [Part: String] = [:]
  }

  private let state = Mutex(State())
  private let logger: Logger

  init(logger: Logger) { self.logger = logger }

  /// Runs a check that repairs what is missing, and remembers what that was, or why it could not be.
  func attempt(_ part: Part, _ repair: () throws -> [String]) {
    do { record(part, repaired: try repair()) } catch { record(part, failure: "\(error)") }
  }

  func record(_ part: Part, repaired: [String]) {
    for what in repaired { logger.warning("missing and put back: \(what)") }
    state.withLock { state in
      state.failures[part] = nil
      guard let what = repaired.last else { return }
      state.counts[part, default: 0] += repaired.count
      state.last = "\(what) at \(Timestamp.text(Timestamp.now()))"
    }
  }

  func record(_ part: Part, failure: String) {
    if state.withLock({ $0.failures.updateValue(failure, forKey: part) }) != failure {
      logger.error("\(part.rawValue) can not be checked or put back: \(failure)")
    }
  }

  /// What was put back last, and when; nil when nothing ever was.
  var last: String? { state.withLock { $0.last } }

  /// What can not be put back, in the order of names.
  var failures: [String] {
    state.withLock { state in
      state.failures.map { "\($0.key.rawValue): \($0.value)" }.sorted()
    }
  }

  var family: MetricFamily {
    let counts = state.withLock { $0.counts }
    return MetricFamily(
      "martlet_datapath_repairs_total", .counter, "Parts of the datapath that were missing and were put back.",
      Part.allCases.map { .init(["part": $0.rawValue], counts[$0] ?? 0) })
  }
}
