import JSON

/// An object from a client, checked against its schema and freed of what the schema does not know.
struct PreparedObject {
  var value: JSONValue
  var warnings: [String]
}

extension APIServer {
  func decode(_ request: APIRequest, _ target: ResourceTarget) throws(APIStatus) -> JSONValue {
    if request.contentType.hasPrefix(ProtobufDecoding.contentType) {
      guard let value = try ProtobufDecoding.object(request.body, target.resource) else {
        throw .unsupportedMediaType(["application/json", "application/yaml"])
      }
      return value
    }
    let value = try BodyDecoding.value(request.body, contentType: request.contentType)
    guard value.objectValue != nil else { throw .badRequest("the body of the request must be an object") }
    return value
  }

  /// Checks the type, removes unknown fields (or refuses them), fills in defaults.
  func prepare(
    _ value: JSONValue, _ request: APIRequest, _ target: ResourceTarget, applyDefaults: Bool = true
  ) throws -> PreparedObject {
    let resource = target.resource
    var value = value
    if let kind = value["kind"]?.stringValue, kind != resource.kind {
      throw APIStatus.badRequest(
        "\(resource.kind) in version \"\(resource.version)\" cannot be handled as a \(resource.kind): the object "
          + "provided is of kind \"\(kind)\"")
    }
    if let version = value["apiVersion"]?.stringValue, version != resource.groupVersion {
      throw APIStatus.badRequest(
        "the API version in the data (\(version)) does not match the expected API version (\(resource.groupVersion))")
    }
    value["kind"] = .string(resource.kind)
    value["apiVersion"] = .string(resource.groupVersion)
    if value["metadata"]?.objectValue == nil { value["metadata"] = [:] }
    var warnings: [String] = []
    let unknown = Shaping.prune(&value, resource.schema)
    if !unknown.isEmpty {
      let sentences = unknown.map { "unknown field \"\($0)\"" }
      switch request.query["fieldValidation"] ?? "Warn" {
      case "Strict":
        throw APIStatus.badRequest(
          "\(resource.kind) in version \"\(resource.version)\" cannot be handled as a \(resource.kind): strict "
            + "decoding error: \(sentences.joined(separator: ", "))")
      case "Ignore": break
      default: warnings = sentences
      }
    }
    if applyDefaults { Shaping.applyDefaults(&value, resource.schema) }
    return PreparedObject(value: value, warnings: warnings)
  }

  /// What the server itself sets or moves before an object is stored, and last checks.
  func admit(_ value: inout JSONValue, _ resource: Resource, old: JSONValue?) throws {
    var serviceCauses: [APIStatus.Cause] = []
    switch resource.qualifiedName {
    case "secrets":
      if let plain = value["stringData"]?.objectValue {
        for (key, text) in plain {
          value.set(["data", key], to: .string(Base64.encode(Array((text.stringValue ?? "").utf8))))
        }
        value["stringData"] = nil
      }
    case ServiceStrategy.resource: serviceCauses = services.admit(&value, old: old)
    case "networkpolicies.networking.k8s.io":
      if value["spec"]?["policyTypes"] == nil, value["spec"] != nil {
        let types: JSONValue = value["spec"]?["egress"] == nil ? ["Ingress"] : ["Ingress", "Egress"]
        value.set(["spec", "policyTypes"], to: types)
      }
    case "pods":
      // The older name of the field counts where the newer is absent.
      if value["spec"]?["serviceAccountName"] == nil {
        let account = value["spec"]?["serviceAccount"] ?? .string(ServiceAccounts.standard)
        value.set(["spec", "serviceAccountName"], to: account)
      }
    case "customresourcedefinitions.apiextensions.k8s.io": try CRDAdmission.admit(&value)
    default: break
    }
    let name = value.scalarText(at: ["metadata", "name"]) ?? ""
    var causes = Names.causes(metadata: value["metadata"])
    if old == nil { causes = Names.causes(name: name, resource) + causes }
    causes += Validator.causes(value, resource.schema) + serviceCauses
    causes += Immutability.causes(value, old: old, resource)
    if causes.isEmpty { causes += APIServer.meaningCauses(value, resource) }
    if resource.qualifiedName == "customresourcedefinitions.apiextensions.k8s.io" {
      causes += CRDAdmission.causes(value)
    }
    if !causes.isEmpty { throw APIStatus.invalid(resource, name, causes) }
  }
}

extension APIServer {
  /// What is wrong with an object whose form is right.
  fileprivate static func meaningCauses(_ value: JSONValue, _ resource: Resource) -> [APIStatus.Cause] {
    var causes = FieldCauses()
    if !resource.isCustom || resource.group == "cilium.io" {
      SelectorValidation.check(value, resource.schema, &causes)
    }
    switch resource.qualifiedName {
    case "networkpolicies.networking.k8s.io": NetworkPolicyValidation.check(value, &causes)
    case "ciliumnetworkpolicies.cilium.io", "ciliumclusterwidenetworkpolicies.cilium.io":
      if value["spec"]?.objectValue == nil, value["specs"]?.arrayValue?.isEmpty != false {
        causes.required("spec", "one of spec and specs must say something")
      }
    case "configmaps":
      let texts = value["data"]?.objectValue ?? [:]
      let binaries = value["binaryData"]?.objectValue ?? [:]
      // Of the binary data what base64 stands for.
      let size =
        texts.reduce(0) { $0 + ($1.value.stringValue?.utf8.count ?? 0) }
        + binaries.reduce(0) { $0 + ($1.value.stringValue?.utf8.count ?? 0) / 4 * 3 }
      if size > 1 << 20 {
        causes.add("FieldValueTooLong", "", "Too long: may not be more than \(1 << 20) bytes")
      }
    default: break
    }
    return causes.list
  }

  /// Kinds that are stored for their users' tools, and that nothing here acts on.
  private static let idleKinds = [
    "ingresses.networking.k8s.io", "ingressclasses.networking.k8s.io",
  ]

  /// What the client of a write should know of the object's kind; nil when it does what it says.
  static func idleWarning(_ resource: Resource) -> String? {
    guard idleKinds.contains(resource.qualifiedName) else { return nil }
    return "\(resource.kind) is stored, but nothing in this version of Martlet acts on it"
  }
}

/// Fields that can not change once they are set.
enum Immutability {
  static func causes(_ value: JSONValue, old: JSONValue?, _ resource: Resource) -> [APIStatus.Cause] {
    guard let old else { return [] }
    var causes: [APIStatus.Cause] = []
    func forbid(_ field: String, _ why: String) {
      causes.append(.init(reason: "FieldValueForbidden", message: "Forbidden: \(why)", field: field))
    }
    switch resource.qualifiedName {
    case "configmaps", "secrets":
      guard old["immutable"]?.boolValue == true else { break }
      for field in ["data", "binaryData"] where old[field] != value[field] {
        forbid(field, "field is immutable when `immutable` is set")
      }
      if value["immutable"]?.boolValue != true {
        forbid("immutable", "field is immutable when `immutable` is set")
      }
    case "pods":
      for field in ["containers", "nodeName", "hostNetwork", "restartPolicy", "serviceAccountName"] {
        let before = old["spec"]?[field]
        guard before != nil, before != value["spec"]?[field] else { continue }
        if field == "containers", withoutImages(before) == withoutImages(value["spec"]?[field]) { continue }
        forbid(
          "spec",
          "pod updates may not change fields other than `spec.containers[*].image`, `spec.tolerations` (only additions "
            + "to existing tolerations)")
        break
      }
    default: break
    }
    return causes
  }

  private static func withoutImages(_ containers: JSONValue?) -> [JSONValue] {
    (containers?.arrayValue ?? []).map { container in
      var container = container
      container["image"] = nil
      return container
    }
  }
}

enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      var bits = 0
      for index in 0..<3 { bits = bits << 8 | (index < group.count ? Int(group[start + index]) : 0) }
      for index in 0..<4 {
        text.append(index <= group.count ? alphabet[bits >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
