/// One metric in all its label sets, as a monitoring system scrapes it.
///
/// ```swift
/// MetricFamily(
///   "martlet_drop_count_total", .counter, "Packets dropped.",
///   [.init(["reason": "POLICY_DENIED", "direction": "EGRESS"], 3)])
/// ```
public struct MetricFamily: Hashable, Sendable {
  /// How a value moves, in the words of the text format.
  public enum Kind: String, Hashable, Sendable {
    /// Only grows, until the process starts anew.
    case counter
    case gauge
    /// How often a value was at most each of some bounds: its samples are those of ``Sample/histogram(_:bounds:counts:sum:)``.
    case histogram
  }

  /// One value.
  public struct Sample: Hashable, Sendable {
    public let labels: [String: String]
    public let value: Double
    /// What follows the family's name: `_bucket`, `_sum` or `_count` of a histogram.
    let suffix: String

    public init(_ labels: [String: String], _ value: Double) { self.init(labels, value, suffix: "") }

    init(_ labels: [String: String], _ value: Double, suffix: String) {
      self.labels = labels
      self.value = value
      self.suffix = suffix
    }

    public init(_ value: Double) { self.init([:], value) }
    public init(_ labels: [String: String], _ value: some BinaryInteger) { self.init(labels, Double(value)) }
  }

  /// `[a-zA-Z_:][a-zA-Z0-9_:]*`; a counter's ends with `_total`.
  public let name: String
  public let kind: Kind
  /// A sentence; any text.
  public let help: String
  public let samples: [Sample]

  public init(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
    self.name = name
    self.kind = kind
    self.help = help
    self.samples = samples
  }

  /// One value without labels.
  public init(_ name: String, _ kind: Kind, _ help: String, _ value: some BinaryInteger) {
    self.init(name, kind, help, [Sample([:], value)])
  }
}

extension MetricFamily.Sample {
  /// The samples of one histogram.
  ///
  /// - Parameters:
  ///   - bounds: The upper bounds of the buckets, ascending.
  ///   - counts: How many values are in each bucket and in none below it; one more than there are bounds, for the rest.
  ///   - sum: Of all values.
  public static func histogram(
    _ labels: [String: String], bounds: [Double], counts: [UInt64], sum: Double
  ) -> [MetricFamily.Sample] {
    var total: UInt64 = 0
    var samples: [MetricFamily.Sample] = []
    for (index, count) in counts.enumerated() {
      total &+= count
      let bound = index < bounds.count ? bounds[index] : .infinity
      let labels = labels.merging(["le": bound.isInfinite ? "+Inf" : "\(bound)"]) { $1 }
      samples.append(MetricFamily.Sample(labels, Double(total), suffix: "_bucket"))
    }
    samples.append(MetricFamily.Sample(labels, sum, suffix: "_sum"))
    samples.append(MetricFamily.Sample(labels, Double(total), suffix: "_count"))
    return samples
  }
}
