import KubernetesAPI

extension Lowering {
  /// The value that a header must have; nil, with an issue, when it is in a Secret that does not give one. The value of a
  /// Secret is never part of an issue.
  mutating func value(of header: HeaderMatch) -> String? {
    guard let reference = header.secret else { return header.value ?? "" }
    let matchesNothing = "the HTTP rule matches no request"
    guard let name = reference.value["name"]?.stringValue,
      let namespace = reference.value["namespace"]?.stringValue ?? namespace, !namespace.isEmpty
    else {
      refuse(reference.path, "a policy without a namespace must name the Secret's; \(matchesNothing)")
      return nil
    }
    let secret = PolicyContext.SecretName(namespace: namespace, name: name)
    references.insert(.secret(secret))
    guard let items = context.secrets[secret] else {
      // Cilium: the value beside it stands in for a Secret that is not there.
      miss(
        reference.path,
        "there is no Secret \(namespace)/\(name); "
          + (header.value == nil ? matchesNothing : "the value beside it is used instead"))
      return header.value
    }
    guard items.count == 1, let item = items.values.first else {
      miss(reference.path, "Secret \(namespace)/\(name) must have exactly one item; \(matchesNothing)")
      return nil
    }
    guard let text = String(validating: item, as: UTF8.self), !text.isEmpty else {
      miss(reference.path, "Secret \(namespace)/\(name) holds no text; \(matchesNothing)")
      return nil
    }
    return text
  }
}
