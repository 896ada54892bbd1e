import JSON
import Routing

/// Who tells of a listener's requests: its access logs, and its spans.
final class ExchangeObserver: Sendable {
  struct Log: Sendable {
    let log: CompiledLog
    let file: LogFile
  }

  let plan: CapturePlan
  let logs: [Log]
  /// nil: requests pass what they say of a trace on as it is.
  let tracer: Tracer?

  /// nil where nobody wants to know. Throws for filters that can not be compiled.
  static func make(
    _ file: ListenerFile, _ manager: HTTPConnectionManager, _ outlets: Outlets
  ) throws(FieldError) -> ExchangeObserver? {
    var plan = CapturePlan()
    var logs: [Log] = []
    for logger in manager.accessLoggers {
      let log = try CompiledLog(logger, &plan)
      if let file = outlets.file(log.target, namespace: file.namespace) { logs.append(Log(log: log, file: file)) }
    }
    var tracer: Tracer?
    if let config = manager.tracing {
      let exporter = outlets.exporter(
        Outlets.ExporterKey(object: file.object, listener: file.listener, collector: config.collector)
      ) {
        SpanExporter(CollectorTarget(config.collector), serviceName: config.collector.serviceName)
      }
      tracer = Tracer(config, exporter, &plan)
    } else if let node = outlets.tracer {
      tracer = Tracer(node, &plan)
    }
    return logs.isEmpty && tracer == nil ? nil : ExchangeObserver(plan, logs, tracer)
  }

  private init(_ plan: CapturePlan, _ logs: [Log], _ tracer: Tracer?) {
    self.plan = plan
    self.logs = logs
    self.tracer = tracer
  }

  /// Tells the exporter of the listener's own spans where the collector is now.
  func follow(_ config: TracingConfig?, _ clusters: [String: RoutedCluster], _ outlets: Outlets) {
    guard let config, let tracer else { return }
    let seats = clusters[config.collector.cluster.name]?.specification.seats ?? []
    tracer.exporter.move(to: .addresses(seats.map(\.address).filter { outlets.mayAsk($0.address) }))
  }
}

extension CollectorTarget {
  fileprivate init(_ collector: TracingConfig.Collector) {
    self.init(
      place: .addresses([]), host: collector.host, path: collector.path,
      headers: collector.headers.map { Header(name: $0.name, value: $0.value) }, timeout: collector.timeout)
  }
}
