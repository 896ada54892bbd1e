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
  }

  /// One value.
  public struct Sample: Hashable, Sendable {
    public let labels: [String: String]
    public let value: Double

    public init(_ labels: [String: String], _ value: Double) {
      self.labels = labels
      self.value = value
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
