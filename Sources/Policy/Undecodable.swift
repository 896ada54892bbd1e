import Identity
import JSON
import KubernetesAPI

extension PolicyDocument {
  /// The closed door that stands for an object which can not be read: what it selects, or its whole namespace when even
  /// that can not be told, is denied everything in both directions until the object is mended or removed. For a policy about
  /// nodes, that is each node it might select.
  public init(undecodable raw: JSONValue, key: ObjectKey, error: FieldError) {
    let specs = [raw["spec"]].compactMap { $0 } + (raw["specs"]?.arrayValue ?? [])
    var sections: [PolicySection] = []
    for spec in specs.isEmpty ? [.null] : specs {
      let field = key.kind == NetworkPolicy.resource.kind ? "podSelector" : "endpointSelector"
      let selector = spec[field].flatMap { value -> EndpointSelector? in
        try? EndpointSelector(decoding: JSONCursor(value, path: "spec.\(field)"))
      }
      let nodes = selector == nil && key.namespace == nil ? spec["nodeSelector"] : nil
      let selected =
        nodes.flatMap { try? EndpointSelector(decoding: JSONCursor($0, path: "spec.nodeSelector")) } ?? selector
        ?? EndpointSelector([])
      var lowering = Lowering(
        namespace: key.namespace, context: PolicyContext(),
        subject: nodes == nil ? .endpoints(selected) : .nodes(selected))
      sections.append(
        PolicySection(
          subject: nodes == nil ? lowering.subject(selected) : lowering.host(selected),
          defaultDeny: Set(Direction.allCases), rules: [], description: nil,
          path: "spec"))
    }
    self.init(
      key: key, sections: sections,
      issues: [
        PolicyIssue(path: error.path, message: "\(error.message); what the policy selects is denied all traffic")
      ])
  }
}
