import Addressing
import NodeMetrics
import Routing
import Synchronization

/// Where the proxy tells of requests: the files of access logs, and the collectors of spans. Each is there for as long as a
/// listener uses it, whichever versions of listeners come and go.
final class Outlets: Sendable {
  /// nil: files are not written.
  private let folder: String?
  /// For listeners that say nothing of traces.
  let tracer: NodeTracer?
  private let logThread = OutletThread()
  private let state = Mutex(State())

  private struct State {
    var files: [LogFile.Place: WeakFile] = [:]
    var exporters: [ExporterKey: WeakExporter] = [:]
    /// Of those that have gone.
    var past = Totals()

    /// Forgets those that have gone, but for what they counted.
    mutating func sweep() {
      for (place, entry) in files where entry.file == nil {
        past.add(files: entry.counts)
        files[place] = nil
      }
      for (key, entry) in exporters where entry.exporter == nil {
        past.add(spans: entry.counts, entry.exports)
        exporters[key] = nil
      }
    }
  }

  /// A listener's own exporter is another one for another collector.
  struct ExporterKey: Hashable {
    let object: String
    let listener: String
    let collector: TracingConfig.Collector
  }

  private struct WeakFile {
    weak var file: LogFile?
    let counts: LineQueue
  }

  private struct WeakExporter {
    weak var exporter: SpanExporter?
    let counts: LineQueue
    let exports: ExportCounters
  }

  fileprivate struct Totals {
    var lines: UInt64 = 0
    var lost: UInt64 = 0
    var spans: UInt64 = 0
    var dropped: UInt64 = 0
    var exports: UInt64 = 0
    var failures: UInt64 = 0
  }

  private let asksThisHost: Bool

  /// - Parameter asksThisHost: Listeners may have collectors on this host's own addresses.
  init(folder: String? = nil, tracing: NodeTracing? = nil, asksThisHost: Bool = false) {
    self.folder = folder
    self.asksThisHost = asksThisHost
    tracer = tracing.map(NodeTracer.init)
  }

  /// - Parameter namespace: The object's; nil for a clusterwide one.
  func file(_ target: AccessLogger.Target, namespace: String?) -> LogFile? {
    let place: LogFile.Place
    switch target {
    case .output: place = .descriptor(1)
    case .errors: place = .descriptor(2)
    case .file(let name):
      guard let folder else { return nil }
      // No namespace begins like that.
      place = .file("\(folder)/\(namespace ?? "_clusterwide")/\(name)")
    }
    return state.withLock { state in
      if let known = state.files[place]?.file { return known }
      state.sweep()
      let file = LogFile(place, thread: logThread)
      state.files[place] = WeakFile(file: file, counts: file.queue)
      return file
    }
  }

  /// The exporter of a listener's spans.
  func exporter(_ key: ExporterKey, _ make: () -> SpanExporter) -> SpanExporter {
    state.withLock { state in
      if let known = state.exporters[key]?.exporter { return known }
      state.sweep()
      let exporter = make()
      state.exporters[key] = WeakExporter(exporter: exporter, counts: exporter.queue, exports: exporter.counters)
      return exporter
    }
  }

  /// Whether a listener's spans may go to an address: its author may know services that only this host should reach.
  func mayAsk(_ address: IPAddress) -> Bool {
    asksThisHost || !(address.isLoopback || address.isLinkLocal || address.high == 0 && address.low & 0xFFFF_FFFF == 0)
  }

  /// Writes and sends what waits; each collector is asked once.
  func finish() {
    let (files, exporters) = state.withLock {
      ($0.files.values.compactMap(\.file), $0.exporters.values.compactMap(\.exporter))
    }
    for file in files { _ = file.work(now: Clock.monotonic()) }
    for exporter in exporters + (tracer.map { [$0.exporter] } ?? []) { exporter.finish() }
  }

  var metrics: [MetricFamily] {
    let totals = state.withLock { state in
      var totals = state.past
      for file in state.files.values { totals.add(files: file.counts) }
      for exporter in state.exporters.values { totals.add(spans: exporter.counts, exporter.exports) }
      if let exporter = tracer?.exporter { totals.add(spans: exporter.queue, exporter.counters) }
      return totals
    }
    return [
      MetricFamily(
        "martlet_access_log_lines_total", .counter, "Lines of access logs that were written.", totals.lines),
      MetricFamily(
        "martlet_access_log_lost_lines_total", .counter, "Lines that found no room, or could not be written.",
        totals.lost),
      MetricFamily("martlet_trace_spans_total", .counter, "Spans of requests that a collector took.", totals.spans),
      MetricFamily(
        "martlet_trace_dropped_spans_total", .counter, "Spans that found no room, or that no collector took.",
        totals.dropped),
      MetricFamily(
        "martlet_trace_exports_total", .counter, "Batches of spans by what the collector said.",
        [.init(["result": "taken"], totals.exports), .init(["result": "failed"], totals.failures)]),
    ]
  }
}

extension Outlets.Totals {
  fileprivate mutating func add(files queue: LineQueue) {
    lines &+= queue.lines
    lost &+= queue.lost
  }

  fileprivate mutating func add(spans queue: LineQueue, _ counters: ExportCounters) {
    spans &+= queue.lines
    dropped &+= queue.lost
    exports &+= counters.taken
    failures &+= counters.failed
  }
}
