import Addressing
import JSON

/// What Kubernetes checks of a NetworkPolicy beyond its form (ValidateNetworkPolicySpec).
enum NetworkPolicyValidation {
  static func check(_ policy: JSONValue, _ causes: inout FieldCauses) {
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
      for (index, rule) in (policy[path: "spec", direction]?.arrayValue ?? []).enumerated() {
        let path = "spec.\(direction)[\(index)]"
        for (index, port) in (rule["ports"]?.arrayValue ?? []).enumerated() {
          check(port: port, "\(path).ports[\(index)]", &causes)
        }
        for (index, peer) in (rule[peers]?.arrayValue ?? []).enumerated() {
          check(peer: peer, "\(path).\(peers)[\(index)]", &causes)
        }
      }
    }
  }

  private static func check(port: JSONValue, _ path: String, _ causes: inout FieldCauses) {
    let number = port["port"]?.integerValue
    if let number, !(1...65535).contains(number) {
      causes.invalid("\(path).port", port["port"], "must be between 1 and 65535, inclusive")
    }
    if let name = port["port"]?.stringValue, !isPortName(name) {
      causes.invalid(
        "\(path).port", port["port"],
        "must be at most 15 lower case letters, digits and single '-', with a letter, not at either end a '-'")
    }
    guard let end = port["endPort"]?.integerValue else { return }
    switch port["port"] {
    case nil, .null?: causes.required("\(path).endPort", "may not be specified when `port` is not specified")
    case .string?: causes.invalid("\(path).endPort", port["endPort"], "may not be specified when `port` is non-numeric")
    default:
      if let number, end < number {
        causes.invalid("\(path).endPort", port["endPort"], "must be greater than or equal to `port`")
      }
    }
  }

  /// IANA_SVC_NAME, as Kubernetes checks it.
  private static func isPortName(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    guard (1...15).contains(bytes.count), bytes.contains(where: { 97...122 ~= $0 }) else { return false }
    guard bytes.allSatisfy({ 97...122 ~= $0 || 48...57 ~= $0 || $0 == 45 }) else { return false }
    return bytes.first != 45 && bytes.last != 45 && !name.contains("--")
  }

  private static func check(peer: JSONValue, _ path: String, _ causes: inout FieldCauses) {
    let selectors = ["podSelector", "namespaceSelector"].filter { (peer[$0] ?? .null) != .null }
    guard let block = peer["ipBlock"], block != .null else {
      if selectors.isEmpty { causes.required(path, "must specify a peer") }
      return
    }
    if !selectors.isEmpty { causes.forbidden(path, "may not specify both ipBlock and another peer") }
    guard let cidr = block["cidr"]?.stringValue.flatMap({ CIDR($0) }) else { return }
    for (index, exception) in (block["except"]?.arrayValue ?? []).enumerated() {
      guard let inner = exception.stringValue.flatMap({ CIDR($0) }) else { continue }
      if inner == cidr || !cidr.contains(inner) {
        causes.invalid("\(path).ipBlock.except[\(index)]", exception, "must be a strict subset of `cidr`")
      }
    }
  }
}
