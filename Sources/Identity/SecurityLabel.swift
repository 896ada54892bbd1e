import Labels

/// Where a label comes from; written before the colon.
public enum LabelSource: String, Comparable, Sendable {
  case kubernetes = "k8s"
  case reserved
  case cidr
  /// A name or a pattern of names, as a policy has it, for whose names an address was answered.
  case fqdn
  case node

  public static func < (left: LabelSource, right: LabelSource) -> Bool { left.rawValue < right.rawValue }
}

/// One label of an identity: `k8s:app=web`, `reserved:host`, `cidr:10.0.0.0/8`, `node:zone=a`.
public struct SecurityLabel: Hashable, Comparable, Sendable {
  public let source: LabelSource
  public let key: String
  public let value: String

  public init(source: LabelSource, key: String, value: String = "") {
    self.source = source
    self.key = key
    self.value = value
  }

  /// Parses `source:key=value`; without a known source the label is Kubernetes'.
  public init(_ text: some StringProtocol) {
    var rest = text[...]
    var source = LabelSource.kubernetes
    if let colon = rest.firstIndex(of: ":"), let known = LabelSource(rawValue: String(rest[..<colon])) {
      source = known
      rest = rest[rest.index(after: colon)...]
    }
    let equals = rest.firstIndex(of: "=") ?? rest.endIndex
    self.init(
      source: source, key: String(rest[..<equals]),
      value: equals < rest.endIndex ? String(rest[rest.index(after: equals)...]) : "")
  }

  public static func < (left: SecurityLabel, right: SecurityLabel) -> Bool {
    (left.source, left.key, left.value) < (right.source, right.key, right.value)
  }
}

extension SecurityLabel: CustomStringConvertible {
  public var description: String { "\(source.rawValue):\(key)" + (value.isEmpty ? "" : "=\(value)") }
}

/// The labels that make an identity, sorted, so that equal sets are equal values.
public struct IdentityLabels: Hashable, Sendable {
  public let labels: [SecurityLabel]

  public init(_ labels: some Sequence<SecurityLabel>) { self.labels = Set(labels).sorted() }

  /// From a dictionary whose keys carry their source, as CiliumIdentity objects hold them: `["k8s:app": "web"]`.
  public init(sourced labels: LabelSet) {
    self.init(labels.map { SecurityLabel($0.value.isEmpty ? $0.key : "\($0.key)=\($0.value)") })
  }

  /// The dictionary form whose keys carry their source.
  public var sourced: LabelSet {
    Dictionary(labels.map { ("\($0.source.rawValue):\($0.key)", $0.value) }) { first, _ in first }
  }

  public func contains(_ label: SecurityLabel) -> Bool { labels.contains(label) }
}

extension IdentityLabels: CustomStringConvertible {
  public var description: String { labels.map(\.description).joined(separator: ",") }
}
