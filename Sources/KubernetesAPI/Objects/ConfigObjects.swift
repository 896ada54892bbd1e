import JSON

/// `v1` ConfigMap.
public struct ConfigMap: KubernetesObject {
  public static let resource = ResourceType(
    group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", namespaced: true)

  public let metadata: ObjectMeta
  public let data: [String: String]

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    data = try cursor.stringMap("data")
  }
}

/// `v1` Secret.
public struct Secret: KubernetesObject {
  public static let resource = ResourceType(
    group: "", version: "v1", plural: "secrets", kind: "Secret", namespaced: true)

  public let metadata: ObjectMeta
  /// `Opaque`, `kubernetes.io/tls`, ….
  public let type: String
  /// Decoded from base64; `stringData` has precedence, as in the API server.
  public let data: [String: [UInt8]]

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    type = try cursor.member("type")?.string() ?? "Opaque"
    var data: [String: [UInt8]] = [:]
    for (key, value) in try cursor.member("data")?.members() ?? [] {
      guard let bytes = Base64.decode(try value.string()) else { throw value.error("is not base64") }
      data[key] = bytes
    }
    for (key, text) in try cursor.stringMap("stringData") { data[key] = Array(text.utf8) }
    self.data = data
  }
}
