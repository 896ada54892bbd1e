import JSON
import ProxyRules
import Routing

/// Which of a listener's requests get spans, and what these say.
final class Tracer: Sendable {
  struct Tag: Sendable {
    enum Value: Sendable {
      /// As JSON.
      case literal([UInt8])
      case header(Int, otherwise: [UInt8])
    }

    /// As JSON.
    let key: [UInt8]
    let value: Value
  }

  let exporter: SpanExporter
  let spawnsUpstreamSpan: Bool
  let maximumPath: Int
  let tags: [Tag]
  /// The place of the request's `user-agent`.
  let userAgent: Int
  private let random: Fraction
  private let client: Fraction
  private let overall: Fraction

  init(_ config: TracingConfig, _ exporter: SpanExporter, _ plan: inout CapturePlan) {
    self.exporter = exporter
    spawnsUpstreamSpan = config.spawnsUpstreamSpan
    maximumPath = config.maximumPath
    var tags: [Tag] = []
    for tag in config.tags {
      func text(_ text: String) -> [UInt8] { Array(JSONValue.string(text).text().utf8) }
      let value: Tag.Value
      switch tag.value {
      case .literal(let literal): value = .literal(text(literal))
      case .header(let name, let otherwise):
        value = .header(plan.request(name), otherwise: otherwise.isEmpty ? [] : text(otherwise))
      }
      tags.append(Tag(key: text(tag.tag), value: value))
    }
    self.tags = tags
    userAgent = plan.request("user-agent")
    (random, client, overall) = (config.random, config.client, config.overall)
  }

  init(_ node: NodeTracer, _ plan: inout CapturePlan) {
    exporter = node.exporter
    spawnsUpstreamSpan = false
    maximumPath = 256
    tags = []
    userAgent = plan.request("user-agent")
    (random, client, overall) = (node.sampling, .full, .full)
  }

  /// The span of a request; nil for one that is not sampled.
  func begin(_ context: TraceContext, _ headers: UnsafeBufferPointer<HTTPHeaderFacts>, _ random: () -> UInt64)
    -> ActiveTrace?
  {
    let isWanted =
      context.isSampled
      ?? (self.random.contains(random())
        || client.contains(random()) && headers.contains { $0.name.isHeader(Tracer.clientTrace) })
    guard isWanted, overall.contains(random()) else { return nil }
    return ActiveTrace(context, spawnsUpstreamSpan: spawnsUpstreamSpan, random: random)
  }

  private static let clientTrace: StaticString = "x-client-trace-id"
}

extension UnsafeRawBufferPointer {
  /// Whether it spells a name in lower case, in any case.
  fileprivate func isHeader(_ name: StaticString) -> Bool {
    guard count == name.utf8CodeUnitCount else { return false }
    return indices.allSatisfy { Octet.lowercase(self[$0]) == name.utf8Start[$0] }
  }
}
