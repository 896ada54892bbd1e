import Identity
import JSON
import KubernetesAPI

extension PolicyDocument {
  /// The closed door that stands for an object which can not be read, until it is mended or removed. What it selects, or
  /// its whole namespace when even that can not be told, is denied by default in both directions. Where the object has
  /// deny rules, everything is denied in their direction, as what they forbid may be what others allow. For a policy about
  /// nodes, that is each node it might select.
  public init(undecodable raw: JSONValue, key: ObjectKey, error: FieldError) {
    var specs = (raw["specs"]?.arrayValue ?? []).enumerated().map { (path: "specs[\($0.offset)]", value: $0.element) }
    if let spec = raw["spec"] { specs.insert((path: "spec", value: spec), at: 0) }
    if specs.isEmpty { specs = [(path: "spec", value: .null)] }
    var sections: [PolicySection] = []
    var denied: [Direction: String] = [:]
    for (path, spec) in specs {
      let field = key.kind == NetworkPolicy.resource.kind ? "podSelector" : "endpointSelector"
      let selector = spec[field].flatMap { value -> EndpointSelector? in
        try? EndpointSelector(decoding: JSONCursor(value, path: "\(path).\(field)"))
      }
      let nodes = selector == nil && key.namespace == nil ? spec["nodeSelector"] : nil
      let selected =
        nodes.flatMap { try? EndpointSelector(decoding: JSONCursor($0, path: "\(path).nodeSelector")) } ?? selector
        ?? EndpointSelector([])
      var lowering = Lowering(
        namespace: key.namespace, context: PolicyContext(),
        subject: nodes == nil ? .endpoints(selected) : .nodes(selected))
      let rules = Direction.allCases.compactMap { direction -> PolicyRule? in
        guard let field = PolicyDocument.denyField(direction, in: spec) else { return nil }
        denied[direction] = denied[direction] ?? "\(path).\(field)"
        let term = PolicyTerm(protocol: nil, ports: .all, effect: .deny, path: "\(path).\(field)")
        return PolicyRule(
          direction: direction, peers: .any, action: .deny, terms: [term], path: term.path, isRefused: true)
      }
      sections.append(
        PolicySection(
          subject: nodes == nil ? lowering.subject(selected) : lowering.host(selected),
          defaultDeny: Set(Direction.allCases), rules: rules, description: nil, path: path))
    }
    let (mode, mistakes) = PolicyMode.read(raw)
    self.init(
      key: key, sections: sections,
      issues: [
        PolicyIssue(path: error.path, message: "\(error.message); \(PolicyDocument.consequence(denied))")
      ] + mistakes, mode: mode)
  }

  /// The field of deny rules of a direction, if anything is in it; a name that only resembles the right one counts, as it
  /// may be what can not be read.
  private static func denyField(_ direction: Direction, in spec: JSONValue) -> String? {
    spec.objectValue?.filter { name, value in
      let name = name.lowercased()
      return name.contains("\(direction.kubernetes)".lowercased()) && name.contains("den")
        && value != .null && value.arrayValue?.isEmpty != true
    }.keys.min()
  }

  /// What happens to the traffic of what the policy selects, exactly.
  private static func consequence(_ denied: [Direction: String]) -> String {
    let byDefault = "nothing is allowed by it; what other policies allow stays allowed"
    if denied.isEmpty { return "the policy can not be read: \(byDefault)" }
    let sides = Direction.allCases.map { direction in
      "on \(direction.kubernetes) "
        + (denied[direction].map { "everything is denied, for the sake of \($0)" } ?? byDefault)
    }
    return "the policy can not be read: \(sides.joined(separator: "; "))"
  }
}
