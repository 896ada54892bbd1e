import Identity
import KubernetesAPI

/// The policies that are only watched (``PolicyMode/audit``), compiled as if they were in force together with all that are.
/// While there is none, nothing is kept and nothing compiled. A value, as the compiler is.
///
///     let change = compiler.update(audited.inForce(delta))
///     if audited.update(delta, beside: compiler).isNews { publish(audited.book) }
public struct AuditedPolicies: Sendable {
  /// What an update changed.
  public struct Change: Sendable, Equatable {
    /// ``AuditedPolicies/book`` is another one.
    public var isNews = false
    /// Audited objects whose status is new or differs.
    public var status: Set<ObjectKey> = []
  }

  public private(set) var objects: Set<ObjectKey> = []
  /// What they would deny; nil while there is none.
  public private(set) var book: AuditBook?
  /// Of all policies.
  private var compiler: PolicyCompiler?

  public init() {}

  /// The part of a change that is about what is in force.
  public func inForce(_ delta: PolicyDelta) -> PolicyDelta {
    let audited = delta.changedPolicies.filter { $0.mode == .audit }.map(\.key)
    guard !audited.isEmpty else { return delta }
    var rest = delta
    rest.changedPolicies.removeAll { $0.mode == .audit }
    rest.removedPolicies.formUnion(audited)
    return rest
  }

  /// What became of each audited object.
  public var status: [ObjectKey: PolicyObjectStatus] { compiler?.status.filter { objects.contains($0.key) } ?? [:] }

  /// The audited objects that select a subject.
  public func policies(selecting subject: NumericIdentity) -> Set<ObjectKey> {
    compiler?.policies(selecting: subject).intersection(objects) ?? []
  }

  /// Takes up a change.
  ///
  /// - Parameter compiler: of what is in force, which has taken up its part of the change.
  public mutating func update(_ delta: PolicyDelta, beside compiler: PolicyCompiler) -> Change {
    let audited = delta.changedPolicies.filter { $0.mode == .audit }
    let named = Set(audited.map(\.key))
    let ended = delta.removedPolicies.union(delta.changedPolicies.map(\.key)).subtracting(named)
    objects = objects.subtracting(ended).union(named)
    guard !objects.isEmpty else {
      defer { self = AuditedPolicies() }
      return Change(isNews: book != nil)
    }
    let change: PolicyChange
    if self.compiler == nil {
      var all = compiler
      var first = PolicyDelta()
      first.changedPolicies = audited
      change = all.update(first)
      self.compiler = all
    } else {
      change = self.compiler?.update(delta) ?? PolicyChange()
    }
    return Change(isNews: refreshBook(change), status: change.status.intersection(objects).union(named))
  }

  /// Returns whether anything in the book differs.
  private mutating func refreshBook(_ change: PolicyChange) -> Bool {
    let reselected = compiler?.takeReselected() ?? []
    guard let compiler else { return false }
    let isSame = change.isEmpty && reselected.isEmpty && book?.objects == objects
    if isSame { return false }
    var closings = book?.closings ?? [:]
    for subject in reselected { closings[subject] = closing(subject, compiler) }
    let movesAddresses = !change.cidrs.isEmpty || !change.addresses.isEmpty || change.nodes
    let blocks = movesAddresses ? nil : book?.verdicts.blocks
    book = AuditBook(
      objects: objects, rules: compiler.rules, closings: closings,
      verdicts: PolicyVerdicts(
        // Of the others nothing is asked, and they need not be copied when the compiler changes them.
        maps: Dictionary(uniqueKeysWithValues: closings.keys.map { ($0, compiler.maps[$0] ?? [:]) }),
        ruleSets: compiler.ruleSets, blocks: blocks ?? BlockIdentities(compiler.compiled.ipcache)))
    return true
  }

  /// nil: no audited policy selects the subject.
  private func closing(_ subject: NumericIdentity, _ compiler: PolicyCompiler) -> AuditBook.Closing? {
    guard !compiler.policies(selecting: subject).isDisjoint(with: objects) else { return nil }
    func reason(_ direction: Direction) -> [ObjectKey] {
      let closing = compiler.policies(closing: subject, direction)
      if closing.allSatisfy(objects.contains) { return closing }
      return compiler.policies(narrowing: subject).intersection(objects).sorted()
    }
    return AuditBook.Closing(ingress: reason(.ingress), egress: reason(.egress))
  }
}
