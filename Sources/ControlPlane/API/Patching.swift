import JSON

extension APIServer {
  static let patchTypes = [
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
  ]

  func patch(_ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    let resource = target.resource
    let type = String(request.contentType.prefix { $0 != ";" })
    guard APIServer.patchTypes.contains(type) || type == "application/apply-patch+json" else {
      throw APIStatus.unsupportedMediaType(APIServer.patchTypes)
    }
    if type == "application/strategic-merge-patch+json", resource.isCustom {
      throw APIStatus.unsupportedMediaType(APIServer.patchTypes.filter { !$0.contains("strategic") })
    }
    let patch = try BodyDecoding.value(request.body, contentType: request.contentType)
    if type.hasPrefix("application/apply-patch") { return try apply(patch, request, target) }
    var warnings: [String] = []
    let (stored, _) = try modify(request, target) { old in
      var value: JSONValue
      switch type {
      case "application/json-patch+json":
        do {
          value = try old.applying(jsonPatch: patch)
        } catch {
          throw APIStatus.invalid(resource, target.name, [.init(reason: "", message: "\(error)", field: "patch")])
        }
      case "application/merge-patch+json": value = old.applying(mergePatch: patch)
      default: value = try StrategicMergePatch.apply(patch, to: old, resource.schema)
      }
      let prepared = try self.prepare(value, request, target)
      warnings = prepared.warnings
      return prepared.value
    }
    return try response(stored, request, resource, warnings: warnings)
  }
}
