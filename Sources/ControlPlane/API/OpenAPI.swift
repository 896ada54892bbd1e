import Crypto
import JSON
import Synchronization

/// OpenAPI v3 documents, one for each group and version, made from the schemas that validate.
final class OpenAPICache: Sendable {
  private struct Document {
    let bytes: [UInt8]
    let hash: String
  }

  private let documents = Mutex<[String: Document]>([:])

  func invalidate() { documents.withLock { $0.removeAll() } }

  /// `/openapi/v3`: where the documents are. The hash in the address lets clients cache them.
  func index(_ registry: Registry) -> JSONValue {
    var paths: [String: JSONValue] = [:]
    for group in registry.groups {
      for version in registry.versions(of: group) {
        let path = group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)"
        guard let hash = made(path, registry)?.hash else { continue }
        paths[path] = ["serverRelativeURL": .string("/openapi/v3/\(path)?hash=\(hash)")]
      }
    }
    return ["paths": .object(paths)]
  }

  func document(_ path: String, _ registry: Registry) -> [UInt8]? { made(path, registry)?.bytes }

  private func made(_ path: String, _ registry: Registry) -> Document? {
    if let document = documents.withLock({ $0[path] }) { return document }
    let parts = path.split(separator: "/").map(String.init)
    let resources: [Resource]
    switch (parts.first, parts.count) {
    case ("api", 2): resources = registry.resources(group: "", version: parts[1])
    case ("apis", 3): resources = registry.resources(group: parts[1], version: parts[2])
    default: return nil
    }
    guard !resources.isEmpty else { return nil }
    let bytes = OpenAPI.document(resources, path: "/" + path).serialized()
    let hash = SHA256.hash(data: bytes).prefix(16).map { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
    let document = Document(bytes: bytes, hash: hash)
    documents.withLock { $0[path] = document }
    return document
  }
}

enum OpenAPI {
  private static let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
  /// As Kubernetes answers that: the name that clients ask for is no media type, which they check of answers.
  private static let answeredProtobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

  /// A document of version 2 without definitions. kubectl asks for one when it finds no group that has a kind, and says
  /// `no matches for kind` itself when it has one.
  static func version2(_ accept: String) -> APIResponse {
    guard accept.contains(protobuf) || accept.contains(answeredProtobuf) else {
      return APIResponse(json: [
        "swagger": "2.0", "info": ["title": "Martlet", "version": "v1.32.0"], "paths": [:], "definitions": [:],
      ])
    }
    // openapi.v2.Document of gnostic: 1 swagger, 2 info (1 title, 2 version), 8 paths.
    func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(content.count)] + content }
    let info = field(1, Array("Martlet".utf8)) + field(2, Array("v1.32.0".utf8))
    var response = APIResponse(body: .bytes(field(1, Array("2.0".utf8)) + field(2, info) + field(8, [])))
    response.contentType = answeredProtobuf
    return response
  }

  static func document(_ resources: [Resource], path: String) -> JSONValue {
    var components: [String: JSONValue] = [:]
    var paths: [String: JSONValue] = [:]
    for resource in resources {
      let prefix = prefix(resource)
      let component = prefix + resource.kind
      var rules = resource.schema.rules
      rules.properties["apiVersion"] = described("The version of the API that this object is written in.")
      rules.properties["kind"] = described("The kind of the object.")
      var schema = Schema(rules).inlineOpenAPI(components: &components, prefix: prefix)
      schema["x-kubernetes-group-version-kind"] = [kind(resource)]
      components[component] = schema
      add(resource, component, root: path, to: &paths)
    }
    return [
      "openapi": "3.0.0", "info": ["title": "Martlet", "version": "v1.32.0"], "paths": .object(paths),
      "components": ["schemas": .object(components)],
    ]
  }

  /// Components are named as in Kubernetes: reversed group, version, kind.
  private static func prefix(_ resource: Resource) -> String {
    let group =
      resource.group.isEmpty
      ? "io.k8s.api.core" : resource.group.split(separator: ".").reversed().joined(separator: ".")
    return "\(group).\(resource.version)."
  }

  private static func described(_ text: String) -> Schema {
    var rules = SchemaRules(type: .string)
    rules.description = text
    return Schema(rules)
  }

  private static func kind(_ resource: Resource) -> JSONValue {
    ["group": .string(resource.group), "version": .string(resource.version), "kind": .string(resource.kind)]
  }

  private static func add(
    _ resource: Resource, _ component: String, root: String, to paths: inout [String: JSONValue]
  ) {
    let base =
      resource.isNamespaced ? "\(root)/namespaces/{namespace}/\(resource.plural)" : "\(root)/\(resource.plural)"
    let reference: JSONValue = ["$ref": .string("#/components/schemas/\(component)")]
    func operation(_ action: String, _ parameters: [String], body: [String] = []) -> JSONValue {
      var operation: JSONValue = [
        "x-kubernetes-action": .string(action), "x-kubernetes-group-version-kind": kind(resource),
        "operationId": .string("\(action)\(resource.kind)"),
        "parameters": .array(
          parameters.map {
            ["name": .string($0), "in": "query", "schema": ["type": "string", "uniqueItems": true]]
          }),
        "responses": ["200": ["description": "OK", "content": ["application/json": ["schema": reference]]]],
      ]
      if !body.isEmpty {
        let schema: JSONValue = ["schema": action == "patch" ? ["type": "object"] : reference]
        operation["requestBody"] = [
          "content": .object(Dictionary(body.map { ($0, schema) }) { first, _ in first })
        ]
      }
      return operation
    }
    let writing = ["dryRun", "fieldManager", "fieldValidation"]
    let media = ["application/json", "application/yaml"]
    if resource.isReview {
      paths[base] = ["post": operation("post", writing, body: media)]
      return
    }
    let patches = APIServer.patchTypes.filter { !resource.isCustom || !$0.contains("strategic") }
    paths[base] = [
      "get": operation("list", ["labelSelector", "fieldSelector", "limit", "continue", "watch", "resourceVersion"]),
      "post": operation("post", writing, body: media),
      "delete": operation("deletecollection", ["dryRun", "labelSelector", "fieldSelector"]),
    ]
    let item: JSONValue = [
      "get": operation("get", []), "put": operation("put", writing, body: media),
      "patch": operation("patch", writing + ["force"], body: patches),
      "delete": operation("delete", ["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
    ]
    paths[base + "/{name}"] = item
    if resource.hasStatus {
      var status = item
      status["delete"] = nil
      paths[base + "/{name}/status"] = status
    }
  }
}
