import JSON

/// One element of `toServices`: Services by name, or by their labels.
public struct ServicePeer: Hashable, Sendable {
  public enum Reference: Hashable, Sendable {
    case name(String)
    case selector(EndpointSelector)
  }

  public let reference: Reference
  /// nil means every namespace.
  public let namespace: String?
  public let path: String

  public init(reference: Reference, namespace: String? = nil, path: String = "") {
    self.reference = reference
    self.namespace = namespace
    self.path = path
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["k8sService", "k8sServiceSelector"])
    switch (try cursor.member("k8sService"), try cursor.member("k8sServiceSelector")) {
    case (let service?, nil):
      try service.allowOnly(["serviceName", "namespace"])
      let name = try service.required("serviceName")
      guard !(try name.string()).isEmpty else { throw name.error("must not be empty") }
      self.init(
        reference: .name(try name.string()), namespace: try ServicePeer.namespace(service), path: service.path)
    case (nil, let selector?):
      try selector.allowOnly(["selector", "namespace"])
      self.init(
        reference: .selector(try EndpointSelector(try selector.required("selector"))),
        namespace: try ServicePeer.namespace(selector), path: selector.path)
    default: throw cursor.error("needs exactly one of k8sService and k8sServiceSelector")
    }
  }

  private static func namespace(_ cursor: JSONCursor) throws(FieldError) -> String? {
    let text = try cursor.member("namespace")?.string() ?? ""
    return text.isEmpty ? nil : text
  }
}
