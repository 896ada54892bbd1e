import Routing

/// What a node wants traced where listeners do not say it: `--otlp-endpoint` and `--trace-sampling`.
public struct NodeTracing: Hashable, Sendable {
  /// A name or an address, without brackets.
  public let host: String
  public let port: UInt16
  /// Where spans are taken: `/v1/traces` behind whatever the endpoint's path is (OTLP, "OTLP/HTTP Request").
  public let path: String
  public let sampling: Fraction

  /// - Parameters:
  ///   - endpoint: `http://HOST:PORT`, with or without a path.
  ///   - percent: Of requests that say nothing of a trace; 0 to 100.
  /// Throws a sentence for what is neither.
  public init(endpoint: String, percent: Double) throws(NodeTracingError) {
    guard let sampling = Fraction(percent: percent) else {
      throw NodeTracingError("\(percent) is no percentage from 0 to 100")
    }
    self.sampling = sampling
    guard endpoint.hasPrefix("http://") else { throw NodeTracingError("\"\(endpoint)\" does not begin with http://") }
    let rest = endpoint.dropFirst(7)
    let authority = rest.prefix { $0 != "/" }
    var folder = rest[authority.endIndex...]
    while folder.hasSuffix("/") { folder = folder.dropLast() }
    var host = authority
    var port: UInt16? = 4318
    if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
      host = authority[..<colon]
      port = UInt16(authority[authority.index(after: colon)...])
    }
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard let port, port > 0, !host.isEmpty, rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
      !rest.contains(where: { "@?#".contains($0) })
    else { throw NodeTracingError("\"\(endpoint)\" is not http://HOST:PORT") }
    self.host = String(host)
    self.port = port
    path = folder + "/v1/traces"
  }
}

/// What is wrong with the settings of traces.
public struct NodeTracingError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// The exporter of the node's own spans, which all listeners share that have none of theirs.
final class NodeTracer: Sendable {
  let sampling: Fraction
  let exporter: SpanExporter

  init(_ tracing: NodeTracing) {
    sampling = tracing.sampling
    let authority = tracing.host.contains(":") ? "[\(tracing.host)]:\(tracing.port)" : "\(tracing.host):\(tracing.port)"
    exporter = SpanExporter(
      CollectorTarget(
        place: .name(tracing.host, port: tracing.port), host: authority, path: tracing.path, headers: [],
        timeout: .seconds(10)), serviceName: "martlet")
  }
}
