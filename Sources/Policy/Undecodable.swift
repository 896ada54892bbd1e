import Identity
import JSON
import KubernetesAPI

extension PolicyDocument {
  /// The closed door that stands for an object which can not be read: what it selects, or its whole namespace when even
  /// that can not be told, is denied everything in both directions until the object is mended or removed.
  ///
  public init(undecodable raw: JSONValue, key: ObjectKey, error: FieldError) {
    let specs = [raw["spec"]].compactMap { $0 } + (raw["specs"]?.arrayValue ?? [])
    var sections: [PolicySection] = []
    for spec in specs.isEmpty ? [.null] : specs {
      let field = key.kind == NetworkPolicy.resource.kind ? "podSelector" : "endpointSelector"
      let selector = spec[field].flatMap { value -> EndpointSelector? in
        try? EndpointSelector(decoding: JSONCursor(value, path: "spec.\(field)"))
      }
      if selector == nil, spec["nodeSelector"] != nil { continue }
      let selected = selector ?? EndpointSelector([])
      var lowering = Lowering(namespace: key.namespace, context: PolicyContext(), subject: .endpoints(selected))
      sections.append(
        PolicySection(
          subject: lowering.subject(selected), defaultDeny: Set(Direction.allCases), rules: [], description: nil,
          path: "spec"))
    }
    self.init(
      key: key, sections: sections,
      issues: [
        PolicyIssue(path: error.path, message: "\(error.message); what the policy selects is denied all traffic")
      ])
  }
}
