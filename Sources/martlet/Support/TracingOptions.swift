import ArgumentParser
import Proxy

/// Where the proxy's spans go.
struct TracingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the proxy sends the spans of routed requests, as OTLP over HTTP: http://HOST:PORT.",
      discussion: "Listeners with `tracing` of their own send theirs there."))
  var otlpEndpoint: String?

  @Option(
    help: "Percent of the requests without a trace of their client's that get one (default: 100).")
  var traceSampling: Double?

  /// - Parameters: What holds where the command line says nothing.
  func settings(endpoint: String? = nil, sampling: Double? = nil) throws -> NodeTracing? {
    let percent = traceSampling ?? sampling
    guard let endpoint = otlpEndpoint ?? endpoint else {
      if percent != nil { throw ValidationError("--trace-sampling: needs --otlp-endpoint") }
      return nil
    }
    do throws(NodeTracingError) {
      return try NodeTracing(endpoint: endpoint, percent: percent ?? 100)
    } catch {
      throw ValidationError("--otlp-endpoint, --trace-sampling: \(error)")
    }
  }
}
