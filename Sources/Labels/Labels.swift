/// A set of labels: key -> value. Keys of Cilium's form may carry a source (`k8s:app`); `LabelKey` reads it.
public typealias LabelSet = [String: String]

/// A requirement on one label.
public struct LabelRequirement: Hashable, Sendable {
  public enum Operation: Hashable, Sendable {
    case `in`(Set<String>)
    case notIn(Set<String>)
    case exists
    case doesNotExist
  }

  public let key: String
  public let operation: Operation

  public init(key: String, operation: Operation) {
    self.key = key
    self.operation = operation
  }

  /// `notIn` and `doesNotExist` hold for a set without the key, as in Kubernetes.
  public func matches(_ labels: LabelSet) -> Bool {
    switch operation {
    case .in(let values): labels[key].map(values.contains) ?? false
    case .notIn(let values): !(labels[key].map(values.contains) ?? false)
    case .exists: labels[key] != nil
    case .doesNotExist: labels[key] == nil
    }
  }
}

/// All of its requirements must hold; an empty selector matches everything.
public struct LabelSelector: Hashable, Sendable {
  public let requirements: [LabelRequirement]

  public init(_ requirements: [LabelRequirement]) { self.requirements = requirements }

  public init(matchLabels: LabelSet) {
    self.init(matchLabels.sorted { $0.key < $1.key }.map { LabelRequirement(key: $0.key, operation: .in([$0.value])) })
  }

  public static let everything = LabelSelector([])

  public func matches(_ labels: LabelSet) -> Bool { requirements.allSatisfy { $0.matches(labels) } }
}

extension LabelRequirement: CustomStringConvertible {
  public var description: String {
    func list(_ values: Set<String>) -> String { values.sorted().joined(separator: ",") }
    return switch operation {
    case .in(let values) where values.count == 1: "\(key)=\(list(values))"
    case .in(let values): "\(key) in (\(list(values)))"
    case .notIn(let values) where values.count == 1: "\(key)!=\(list(values))"
    case .notIn(let values): "\(key) notin (\(list(values)))"
    case .exists: key
    case .doesNotExist: "!\(key)"
    }
  }
}

extension LabelSelector: CustomStringConvertible {
  /// In kubectl's syntax; empty for the selector that matches everything.
  public var description: String { requirements.map(\.description).joined(separator: ",") }
}
