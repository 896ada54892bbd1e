import JSON

/// What is wrong with the ports of a Service, in the API server's words (Kubernetes: `validateServicePort`).
enum ServicePortValidation {
  static func check(_ service: ServiceDocument, _ causes: inout FieldCauses) {
    let ports = service.ports
    if ports.isEmpty, !service.isHeadless, service.type != "ExternalName" { causes.required("spec.ports") }
    var names = Set<String>()
    var nodePorts = Set<JSONValue>()
    for (index, port) in ports.enumerated() {
      let field = "spec.ports[\(index)]"
      checkName(port, field, isNeeded: ports.count > 1, &names, &causes)
      if let number = port["port"]?.integerValue, !(1...65_535 ~= number) {
        causes.invalid("\(field).port", port["port"], "must be between 1 and 65535, inclusive")
      }
      checkTarget(port["targetPort"], "\(field).targetPort", &causes)
      if let text = port["appProtocol"]?.stringValue { checkAppProtocol(text, "\(field).appProtocol", &causes) }
      if service.isLoadBalancer, port["port"] == 10_250 {
        causes.invalid(
          "\(field).port", 10_250, "may not expose port 10250 externally since it is used by kubelet")
      }
      guard let nodePort = port["nodePort"], nodePort != 0 else { continue }
      if !service.canHaveNodePorts {
        causes.forbidden("\(field).nodePort", "may not be used when `type` is '\(service.type)'")
      } else if !nodePorts.insert([port["protocol"] ?? "TCP", nodePort]).inserted {
        causes.duplicate("\(field).nodePort", nodePort)
      }
    }
  }

  private static func checkName(
    _ port: JSONValue, _ field: String, isNeeded: Bool, _ names: inout Set<String>, _ causes: inout FieldCauses
  ) {
    guard let name = port["name"]?.stringValue, !name.isEmpty else {
      if isNeeded { causes.required("\(field).name") }
      return
    }
    if !Names.isLabel(name) {
      causes.invalid("\(field).name", .string(name), Names.labelMessage)
    } else if name.utf8.count > 63 {
      causes.invalid("\(field).name", .string(name), "must be no more than 63 characters")
    } else if !names.insert(name).inserted {
      causes.duplicate("\(field).name", .string(name))
    }
  }

  private static func checkTarget(_ target: JSONValue?, _ field: String, _ causes: inout FieldCauses) {
    if let number = target?.integerValue, !(1...65_535 ~= number) {
      causes.invalid(field, target, "must be between 1 and 65535, inclusive")
    }
    guard let name = target?.stringValue else { return }
    for problem in problems(ofPortName: name) { causes.invalid(field, target, problem) }
  }

  /// Kubernetes: `IsValidPortName`, after RFC 6335, 5.1.
  private static func problems(ofPortName name: String) -> [String] {
    var problems: [String] = []
    let bytes = Array(name.utf8)
    if bytes.count > 15 { problems.append("must be no more than 15 characters") }
    if !bytes.allSatisfy({ 97...122 ~= $0 || 48...57 ~= $0 || $0 == 45 }) {
      problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    }
    if !bytes.contains(where: { 97...122 ~= $0 }) { problems.append("must contain at least one letter (a-z)") }
    if name.contains("--") { problems.append("must not contain consecutive hyphens") }
    if bytes.first == 45 || bytes.last == 45 { problems.append("must not begin or end with a hyphen") }
    return problems
  }

  private static func checkAppProtocol(_ text: String, _ field: String, _ causes: inout FieldCauses) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    if parts.count > 2 {
      causes.invalid(field, .string(text), "a qualified name " + Names.qualifiedNameMessage)
    } else if parts.count == 2, !Names.isSubdomain(String(parts[0])) {
      causes.invalid(field, .string(text), "prefix part " + Names.subdomainMessage)
    } else if let name = parts.last, name.isEmpty || name.utf8.count > 63 || !Names.isLabelValue(name) {
      causes.invalid(field, .string(text), Names.qualifiedNameMessage)
    }
  }
}
