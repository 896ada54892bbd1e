import Labels

/// The key of a requirement, in the syntax users know: `k8s:app` and `reserved:host` name the label's source, `any:app`
/// and a plain `app` match every source.
public struct SelectorKey: Hashable, Comparable, Sendable {
  /// nil: any source.
  public let source: LabelSource?
  public let key: String

  public init(source: LabelSource?, key: String) {
    self.source = source
    self.key = key
  }

  public init(_ text: some StringProtocol) {
    guard let colon = text.firstIndex(of: ":") else {
      self.init(source: nil, key: String(text))
      return
    }
    let prefix = text[..<colon]
    let rest = String(text[text.index(after: colon)...])
    if prefix == "any" {
      self.init(source: nil, key: rest)
    } else if let source = LabelSource(rawValue: String(prefix)) {
      self.init(source: source, key: rest)
    } else {
      self.init(source: nil, key: String(text))
    }
  }

  /// Whether this key, read as Kubernetes', is `key`.
  public func isKubernetes(_ key: String) -> Bool {
    (source == nil || source == .kubernetes) && self.key == key
  }

  public static func < (left: SelectorKey, right: SelectorKey) -> Bool {
    (left.key, left.source?.rawValue ?? "") < (right.key, right.source?.rawValue ?? "")
  }
}

extension SelectorKey: CustomStringConvertible {
  /// Without a source, as users write it, when it means any.
  public var description: String { source.map { "\($0.rawValue):\(key)" } ?? key }
}

/// One condition on the labels of an identity.
public struct IdentityRequirement: Hashable, Sendable {
  public let key: SelectorKey
  public let operation: LabelRequirement.Operation

  public init(_ key: SelectorKey, _ operation: LabelRequirement.Operation) {
    self.key = key
    self.operation = operation
  }

  /// With a key of any source, `in` holds when one of the sources has such a value, and `notIn` when none has.
  public func matches(_ labels: IdentityLabels) -> Bool {
    switch operation {
    case .in(let values): some(labels) { values.contains($0) }
    case .notIn(let values): !some(labels) { values.contains($0) }
    case .exists: some(labels) { _ in true }
    case .doesNotExist: !some(labels) { _ in true }
    }
  }

  private func some(_ labels: IdentityLabels, _ predicate: (String) -> Bool) -> Bool {
    for label in labels.labels where key.source == nil || key.source == label.source {
      if label.key == key.key, predicate(label.value) { return true }
    }
    return false
  }
}

/// Selects identities by their labels; all requirements must hold, and an empty selector matches every identity.
public struct IdentitySelector: Hashable, Sendable {
  public let requirements: [IdentityRequirement]

  public init(_ requirements: [IdentityRequirement]) { self.requirements = requirements }

  public static let everything = IdentitySelector([])

  /// Reads the keys of a Kubernetes label selector in the syntax of `SelectorKey`.
  public init(_ selector: LabelSelector) {
    self.init(selector.requirements.map { IdentityRequirement(SelectorKey($0.key), $0.operation) })
  }

  public init(having label: SecurityLabel) {
    self.init([IdentityRequirement(SelectorKey(source: label.source, key: label.key), .in([label.value]))])
  }

  public func adding(_ requirement: IdentityRequirement) -> IdentitySelector {
    IdentitySelector(requirements + [requirement])
  }

  public func matches(_ labels: IdentityLabels) -> Bool { requirements.allSatisfy { $0.matches(labels) } }
}

extension IdentitySelector: CustomStringConvertible {
  public var description: String {
    LabelSelector(requirements.map { LabelRequirement(key: $0.key.description, operation: $0.operation) }).description
  }
}

extension Entity {
  /// The selectors whose union this entity is; nil for `all`, which is every peer, known or not.
  public func selectors(cluster: String) -> [IdentitySelector]? {
    func reserved(_ identities: ReservedIdentity...) -> [IdentitySelector] {
      identities.map { IdentitySelector(having: SecurityLabel(source: .reserved, key: $0.name)) }
    }
    return switch self {
    case .all: nil
    case .none: []
    // Every block of addresses outside of the cluster carries one of the two labels of its family.
    case .world: reserved(.world, .worldIPv4, .worldIPv6)
    case .worldIPv4: reserved(.worldIPv4)
    case .worldIPv6: reserved(.worldIPv6)
    case .cluster:
      [IdentitySelector(having: SecurityLabel(source: .kubernetes, key: WellKnownLabel.cluster, value: cluster))]
        + reserved(.host, .remoteNode, .`init`, .health, .unmanaged, .kubeAPIServer, .ingress)
    case .clusterMesh: [IdentitySelector([IdentityRequirement(WellKnownLabel.clusterKey, .exists)])]
    case .host: reserved(.host)
    case .`init`: reserved(.`init`)
    case .ingress: reserved(.ingress)
    case .unmanaged: reserved(.unmanaged)
    case .remoteNode: reserved(.remoteNode)
    case .health: reserved(.health)
    case .kubeAPIServer: reserved(.kubeAPIServer)
    }
  }
}

extension IdentityRequirement: CustomStringConvertible {
  public var description: String {
    // Only labels of Kubernetes have values; the others are written by their key alone.
    if case .in([""]) = operation, let source = key.source, source != .kubernetes { return key.description }
    return LabelRequirement(key: key.description, operation: operation).description
  }
}
