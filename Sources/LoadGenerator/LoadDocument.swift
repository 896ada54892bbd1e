import JSON

/// A result in the form that fortio writes, so that filters made for it work: seconds in the histogram, nanoseconds in
/// `ActualDuration`. What fortio has no place for stands beside it.
public struct LoadDocument: Sendable {
  public static let percentiles = [50.0, 75, 90, 95, 99, 99.9]

  public let options: LoadOptions
  public let result: LoadResult
  /// Whether the latencies' buckets are told too, as fortio's `Data`.
  public let hasBuckets: Bool

  public init(options: LoadOptions, result: LoadResult, hasBuckets: Bool = false) {
    self.options = options
    self.result = result
    self.hasBuckets = hasBuckets
  }

  /// Answers per second.
  public var rate: Double { Double(result.answered) / (Double(options.duration) / 1e9) }

  public var json: JSONValue {
    var codes: [String: JSONValue] = [:]
    for (status, count) in result.statuses { codes[String(status)] = .integer(Int64(count)) }
    if result.failed > 0 { codes["-1"] = .integer(Int64(result.failed)) }
    return [
      "RunType": .string(kind.name), "URL": .string(kind.url),
      "RequestedQPS": .string(options.rate.map { $0 == $0.rounded() ? "\(Int64($0))" : "\($0)" } ?? "max"),
      "RequestedDuration": .string("\(Double(options.duration) / 1e9)s"),
      "ActualQPS": .number(rate),
      "ActualDuration": .integer(Int64(options.duration)),
      "NumThreads": .integer(Int64(options.connections)),
      "NewConnections": .bool(options.newConnections),
      "ConnectionsOpened": .integer(Int64(result.opened)),
      "DurationHistogram": LoadDocument.histogram(result.latencies, hasBuckets: hasBuckets),
      "RetCodes": .object(codes),
      "Errors": .object(result.failures.mapValues { .integer(Int64($0)) }),
      "Unsent": .integer(Int64(result.unsent)),
      "Lateness": LoadDocument.histogram(result.lateness),
      "Generator": [
        "UserSeconds": .number(result.use.userSeconds),
        "SystemSeconds": .number(result.use.systemSeconds),
        "VoluntaryContextSwitches": .integer(Int64(result.use.voluntarySwitches)),
        "InvoluntaryContextSwitches": .integer(Int64(result.use.involuntarySwitches)),
      ],
      "Machine": [
        "BusySeconds": .number(result.use.machineBusySeconds),
        "SoftIRQSeconds": .number(result.use.machineSoftIRQSeconds),
      ],
    ]
  }

  private var kind: (name: String, url: String) {
    let authority = options.target.authority
    return switch options.traffic {
    case .http: ("HTTP", "http://\(authority)\(options.target.path)")
    case .echo, .connect: ("TCP", "tcp://\(authority)")
    case .dns(let question): ("DNS", "dns://\(authority)/\(question.name)")
    }
  }

  static func histogram(_ histogram: LatencyHistogram, hasBuckets: Bool = false) -> JSONValue {
    func seconds(_ nanoseconds: Double) -> JSONValue { .number(nanoseconds / 1e9) }
    var members: [String: JSONValue] = [
      "Count": .integer(Int64(histogram.count)),
      "Min": seconds(Double(histogram.minimum)),
      "Max": seconds(Double(histogram.maximum)),
      "Sum": seconds(histogram.total),
      "Avg": seconds(histogram.mean),
      "StdDev": seconds(histogram.standardDeviation),
      "Percentiles": .array(
        percentiles.map {
          ["Percentile": .number($0), "Value": seconds(Double(histogram.percentile($0)))]
        }),
    ]
    if hasBuckets { members["Data"] = .array(data(histogram)) }
    return .object(members)
  }

  /// Each bucket with the part of all durations, in percent, that it and those before it have.
  private static func data(_ histogram: LatencyHistogram) -> [JSONValue] {
    var seen: UInt64 = 0
    return histogram.buckets.map { bucket in
      seen += bucket.count
      return [
        "Start": .number(Double(bucket.range.lowerBound) / 1e9), "End": .number(Double(bucket.range.upperBound) / 1e9),
        "Percent": .number(100 * Double(seen) / Double(histogram.count)), "Count": .integer(Int64(bucket.count)),
      ]
    }
  }
}
