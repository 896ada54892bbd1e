import JSON

/// What becomes of the traffic that a policy decides about.
public enum PolicyMode: String, Hashable, Sendable {
  /// It is decided so.
  case enforce
  /// It is told what would become of it, and nothing else happens.
  case audit

  /// The annotation of a policy's object that says the mode; without it the policy is enforced.
  public static let annotation = "policy.martlet.io/mode"

  /// The annotation of a pod, with ``podAnnotationValue``, whose policies are all only watched at that pod.
  public static let podAnnotation = "policy.martlet.io/audit"
  public static let podAnnotationValue = "true"

  /// What an object's annotations say, and what is wrong with it. A word that nobody knows leaves the policy enforced:
  /// who mistypes it must not open what was closed.
  static func read(_ annotations: [String: String]) -> (mode: PolicyMode, issues: [PolicyIssue]) {
    guard let written = annotations[annotation] else { return (.enforce, []) }
    if let mode = PolicyMode(rawValue: written) { return (mode, []) }
    let issue = PolicyIssue(
      path: "metadata.annotations[\(annotation)]",
      message: "unknown mode \"\(written)\", so the policy is enforced; known are audit and enforce", isMissing: true)
    return (.enforce, [issue])
  }

  /// As `read(_:)`, of an object that can not be decoded.
  static func read(_ raw: JSONValue) -> (mode: PolicyMode, issues: [PolicyIssue]) {
    read((raw[path: "metadata", "annotations"]?.objectValue ?? [:]).compactMapValues(\.stringValue))
  }
}
