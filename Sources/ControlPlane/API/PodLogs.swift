import JSON

/// A request for what a pod has written.
public struct PodLogRequest: Sendable {
  public let namespace: String
  public let name: String
  /// Empty for the only container.
  public let container: String
  /// Keep sending what is written from now on.
  public let follow: Bool
  /// How many lines at the end; nil for all.
  public let tailLines: Int?
}

/// What a pod has written, piece by piece; ends when the pod does or, without `follow`, at the end of the log.
public typealias PodLog = AsyncStream<[UInt8]>

extension APIServer {
  func log(_ request: APIRequest, _ target: ResourceTarget) async throws -> APIResponse {
    guard store.object(target.key) != nil else { throw APIStatus.notFound(target.resource, target.name) }
    let log = try await podLog(
      PodLogRequest(
        namespace: target.namespace, name: target.name, container: request.query["container"] ?? "",
        follow: request.flag("follow"), tailLines: request.query["tailLines"].flatMap { Int($0) }))
    guard let log else {
      var response = APIResponse(body: .bytes([]))
      response.contentType = "text/plain"
      return response
    }
    var response = APIResponse(
      body: .stream { sink in
        for await piece in log { try await sink.write(piece) }
      })
    response.contentType = "text/plain"
    return response
  }

  /// Access reviews: whoever has credentials of this server may do everything.
  func review(_ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    guard request.method == .post else { throw APIStatus.methodNotAllowed }
    // The answer does not depend on the question, so a question in another form is not even read.
    var object: JSONValue = ["metadata": [:], "spec": [:]]
    if !request.contentType.hasPrefix(ProtobufDecoding.contentType) {
      object = try BodyDecoding.value(request.body, contentType: request.contentType)
    }
    object["apiVersion"] = .string(target.resource.groupVersion)
    object["kind"] = .string(target.resource.kind)
    let user: JSONValue = ["username": "martlet-admin", "groups": ["system:masters", "system:authenticated"]]
    switch target.resource.kind {
    case "SelfSubjectRulesReview":
      object["status"] = [
        "incomplete": false,
        "resourceRules": [["verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]]],
        "nonResourceRules": [["verbs": ["*"], "nonResourceURLs": ["*"]]],
      ]
    case "SelfSubjectReview": object["status"] = ["userInfo": user]
    case "TokenReview": object["status"] = ["authenticated": false]
    default: object["status"] = ["allowed": true, "reason": "the only user of this server is its administrator"]
    }
    return APIResponse(code: 201, json: object)
  }
}
