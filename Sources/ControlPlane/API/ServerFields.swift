import Clocks
import JSON

/// The fields that belong to the server.
enum ServerFields {
  static func initialize(_ value: inout JSONValue, _ resource: Resource) {
    for field in ["selfLink", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"] {
      value.set(["metadata", field], to: nil)
    }
    value.set(["metadata", "uid"], to: .string(Identifiers.uid()))
    value.set(["metadata", "creationTimestamp"], to: .string(Timestamp.nowText))
    value.set(["metadata", "generation"], to: countsGenerations(resource) ? .some(1) : .none)
    if resource.hasStatus { value["status"] = nil }
    switch resource.qualifiedName {
    case "pods": value["status"] = ["phase": "Pending", "qosClass": "BestEffort"]
    case "services", "ingresses.networking.k8s.io": value["status"] = ["loadBalancer": [:]]
    case "namespaces":
      value["status"] = ["phase": "Active"]
      value["spec"] = ["finalizers": ["kubernetes"]]
      let name = value["metadata"]?["name"] ?? ""
      value.set(["metadata", "labels", "kubernetes.io/metadata.name"], to: name)
    default: break
    }
  }

  static func countsGenerations(_ resource: Resource) -> Bool {
    resource.isCustom
      || resource.schema.rules.properties["spec"] != nil && resource.qualifiedName != "namespaces"
        && resource.qualifiedName != "services" && resource.qualifiedName != "nodes"
        && resource.qualifiedName != "leases.coordination.k8s.io"
  }

  /// Keeps what an update may not change.
  static func carryOver(_ value: inout JSONValue, old: JSONValue, _ target: ResourceTarget) {
    if target.subresource == "status" {
      var result = old
      result["status"] = value["status"]
      for field in ["resourceVersion", "managedFields"] {
        result.set(["metadata", field], to: value["metadata"]?[field])
      }
      value = result
    } else if target.resource.hasStatus {
      value["status"] = old["status"]
    }
    let metadata = old["metadata"]
    for field in [
      "name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp",
      "deletionGracePeriodSeconds", "selfLink",
    ] {
      value.set(["metadata", field], to: metadata?[field])
    }
    // A client that leaves managed fields out does not mean to reset them; an empty list does.
    if value["metadata"]?["managedFields"] == nil {
      value.set(["metadata", "managedFields"], to: metadata?["managedFields"])
    }
    switch target.resource.qualifiedName {
    case "namespaces":
      value["spec"] = old["spec"]
      value.set(["metadata", "labels", "kubernetes.io/metadata.name"], to: metadata?["name"])
    case "pods":
      for field in ["nodeName", "serviceAccountName"] where value["spec"]?[field] == nil {
        value.set(["spec", field], to: old["spec"]?[field])
      }
    default: break
    }
  }

  /// The generation counts changes of what is wanted.
  static func countGeneration(_ value: inout JSONValue, old: JSONValue, _ target: ResourceTarget) {
    guard countsGenerations(target.resource), target.subresource.isEmpty else { return }
    func wanted(_ value: JSONValue) -> JSONValue {
      var value = value
      value["metadata"] = nil
      if target.resource.hasStatus || !target.resource.isCustom { value["status"] = nil }
      return value
    }
    guard wanted(value) != wanted(old) else { return }
    let generation = old["metadata"]?["generation"]?.integerValue ?? 0
    value.set(["metadata", "generation"], to: .integer(generation + 1))
  }
}

enum Identifiers {
  /// A random UUID (RFC 9562, version 4).
  static func uid() -> String {
    var generator = SystemRandomNumberGenerator()
    var high: UInt64 = generator.next()
    var low: UInt64 = generator.next()
    high = high & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
    low = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    func hex(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    return [
      hex(high >> 32, 8), hex(high >> 16 & 0xFFFF, 4), hex(high & 0xFFFF, 4), hex(low >> 48, 4),
      hex(low & 0xFFFF_FFFF_FFFF, 12),
    ].joined(separator: "-")
  }

  /// Five characters for `generateName`, without vowels and look-alikes.
  static func suffix() -> String {
    let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
    return String((0..<5).map { _ in alphabet[Int.random(in: 0..<alphabet.count)] })
  }
}
