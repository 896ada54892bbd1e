/// All that the proxy needs to decide on requests and queries, and to say who decided: the document that the agent writes into
/// `DIR/proxy/config.json` and the proxy reads.
public struct ProxyConfiguration: Hashable, Sendable {
  /// Grows with every change; the proxy acknowledges it once it serves it.
  public var generation: UInt64
  /// Sorted by id, each id once.
  public var ruleSets: [RuleSet]
  /// By the ids of the rules.
  public var authors: [UInt32: RuleAuthor]

  public init(generation: UInt64, ruleSets: [RuleSet] = [], authors: [UInt32: RuleAuthor] = [:]) {
    self.generation = generation
    self.ruleSets = ruleSets
    self.authors = authors
  }
}

/// Where a rule is written.
public struct RuleAuthor: Hashable, Sendable {
  /// The object's kind: `CiliumNetworkPolicy`.
  public var kind: String
  /// Nil for objects of the whole cluster.
  public var namespace: String?
  public var name: String
  /// The rule in the object: `spec.ingress[0].toPorts[0].rules.http[2]`.
  public var path: String

  public init(kind: String, namespace: String? = nil, name: String, path: String) {
    self.kind = kind
    self.namespace = namespace
    self.name = name
    self.path = path
  }
}
