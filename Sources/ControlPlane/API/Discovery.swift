import JSON

extension APIServer {
  /// The paths that describe the server; nil for all others.
  func discovery(_ request: APIRequest, _ registry: Registry) throws -> APIResponse? {
    let wantsAggregate = request.accept.contains("as=APIGroupDiscoveryList")
    switch request.path.count {
    case 0:
      return APIResponse(json: [
        "paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
      ])
    case 1:
      switch request.path[0] {
      case "healthz", "livez", "readyz": return APIResponse(text: "ok")
      case "version": return APIResponse(json: Discovery.version)
      case "api": return wantsAggregate ? aggregate(request, registry, [""]) : APIResponse(json: Discovery.coreVersions)
      case "apis":
        let groups = registry.groups.filter { !$0.isEmpty }
        if wantsAggregate { return aggregate(request, registry, groups) }
        return APIResponse(json: [
          "kind": "APIGroupList", "apiVersion": "v1",
          "groups": .array(groups.map { Discovery.group($0, registry) }),
        ])
      default: return nil
      }
    case 2:
      switch request.path[0] {
      case "livez", "readyz", "healthz": return APIResponse(text: "ok")
      case "apis" where registry.groups.contains(request.path[1]):
        return APIResponse(json: Discovery.group(request.path[1], registry))
      case "api" where request.path[1] == "v1":
        return APIResponse(json: Discovery.resourceList(group: "", version: "v1", registry))
      case "openapi" where request.path[1] == "v2": return OpenAPI.version2(request.accept)
      case "openapi" where request.path[1] == "v3": return APIResponse(json: openAPI.index(registry))
      default: return nil
      }
    case 3 where request.path[0] == "apis":
      let (group, version) = (request.path[1], request.path[2])
      guard registry.versions(of: group).contains(version) else { return nil }
      return APIResponse(json: Discovery.resourceList(group: group, version: version, registry))
    default:
      guard request.path[0] == "openapi", request.path[1] == "v3" else { return nil }
      let groupVersion = request.path.dropFirst(2).joined(separator: "/")
      guard let document = openAPI.document(groupVersion, registry) else { throw APIStatus.noSuchPath }
      return APIResponse(body: .bytes(document))
    }
  }

  private func aggregate(_ request: APIRequest, _ registry: Registry, _ groups: [String]) -> APIResponse {
    let version =
      request.accept.contains("v=v2;") || request.accept.hasSuffix("v=v2")
        || request.accept.contains("v=v2,") ? "v2" : "v2beta1"
    var response = APIResponse(json: [
      "kind": "APIGroupDiscoveryList", "apiVersion": .string("apidiscovery.k8s.io/\(version)"), "metadata": [:],
      "items": .array(groups.map { Discovery.aggregate($0, registry) }),
    ])
    response.contentType = "application/json;g=apidiscovery.k8s.io;v=\(version);as=APIGroupDiscoveryList"
    return response
  }
}

/// The documents of discovery.
enum Discovery {
  static let version: JSONValue = [
    "major": "1", "minor": "32", "gitVersion": "v1.32.0+martlet", "gitCommit": "", "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "swiftc", "platform": "linux/amd64",
  ]

  static let coreVersions: JSONValue = [
    "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
  ]

  static func verbs(_ resource: Resource) -> JSONValue {
    resource.isReview
      ? ["create"]
      : ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
  }

  private static func subresources(_ resource: Resource) -> [(name: String, verbs: JSONValue)] {
    var list: [(String, JSONValue)] = []
    if resource.hasStatus { list.append(("status", ["get", "patch", "update"])) }
    if resource.qualifiedName == "pods" { list.append(("log", ["get"])) }
    return list
  }

  static func group(_ group: String, _ registry: Registry) -> JSONValue {
    let versions: [JSONValue] = registry.versions(of: group).map { version in
      ["groupVersion": .string("\(group)/\(version)"), "version": .string(version)]
    }
    return [
      "kind": "APIGroup", "apiVersion": "v1", "name": .string(group), "versions": .array(versions),
      "preferredVersion": versions.first ?? [:],
    ]
  }

  static func resourceList(group: String, version: String, _ registry: Registry) -> JSONValue {
    var list: [JSONValue] = []
    for resource in registry.resources(group: group, version: version) {
      var entry: JSONValue = [
        "name": .string(resource.plural), "singularName": .string(resource.singular),
        "namespaced": .bool(resource.isNamespaced), "kind": .string(resource.kind), "verbs": verbs(resource),
      ]
      if !resource.shortNames.isEmpty { entry["shortNames"] = .array(resource.shortNames.map(JSONValue.string)) }
      if !resource.categories.isEmpty { entry["categories"] = .array(resource.categories.map(JSONValue.string)) }
      list.append(entry)
      for subresource in subresources(resource) {
        list.append([
          "name": .string("\(resource.plural)/\(subresource.name)"), "singularName": "",
          "namespaced": .bool(resource.isNamespaced), "kind": .string(resource.kind), "verbs": subresource.verbs,
        ])
      }
    }
    return [
      "kind": "APIResourceList", "apiVersion": "v1",
      "groupVersion": .string(group.isEmpty ? version : "\(group)/\(version)"), "resources": .array(list),
    ]
  }

  static func aggregate(_ group: String, _ registry: Registry) -> JSONValue {
    let versions: [JSONValue] = registry.versions(of: group).map { version in
      let resources: [JSONValue] = registry.resources(group: group, version: version).map { resource in
        let kind: JSONValue = [
          "group": .string(group), "version": .string(version), "kind": .string(resource.kind),
        ]
        var entry: JSONValue = [
          "resource": .string(resource.plural), "responseKind": kind,
          "scope": resource.isNamespaced ? "Namespaced" : "Cluster", "singularResource": .string(resource.singular),
          "verbs": verbs(resource),
        ]
        if !resource.shortNames.isEmpty { entry["shortNames"] = .array(resource.shortNames.map(JSONValue.string)) }
        if !resource.categories.isEmpty { entry["categories"] = .array(resource.categories.map(JSONValue.string)) }
        let subresources = subresources(resource)
        if !subresources.isEmpty {
          entry["subresources"] = .array(
            subresources.map { ["subresource": .string($0.name), "responseKind": kind, "verbs": $0.verbs] })
        }
        return entry
      }
      return ["version": .string(version), "freshness": "Current", "resources": .array(resources)]
    }
    var metadata: JSONValue = ["creationTimestamp": .null]
    if !group.isEmpty { metadata["name"] = .string(group) }
    return ["metadata": metadata, "versions": .array(versions)]
  }
}
