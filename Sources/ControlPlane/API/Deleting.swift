import JSON

extension APIServer {
  private struct Options {
    var gracePeriod: Int?
    var propagation = Lifecycle.Propagation.background
    var uid: String?
    var resourceVersion: String?
    var isDryRun = false
  }

  private func options(_ request: APIRequest) throws(APIStatus) -> Options {
    var options = Options()
    var body: JSONValue = .null
    if !request.body.isEmpty {
      body =
        request.contentType.hasPrefix(ProtobufDecoding.contentType)
        ? try ProtobufDecoding.deleteOptions(request.body)
        : try BodyDecoding.value(request.body, contentType: request.contentType)
    }
    options.gracePeriod =
      body["gracePeriodSeconds"]?.integerValue.map { Int($0) }
      ?? request.query["gracePeriodSeconds"].flatMap { Int($0) }
    if let grace = options.gracePeriod, grace < 0 { options.gracePeriod = 1 }
    let policy = body["propagationPolicy"]?.stringValue ?? request.query["propagationPolicy"]
    if policy == "Orphan" || body["orphanDependents"]?.boolValue == true || request.flag("orphanDependents") {
      options.propagation = .orphan
    }
    options.uid = body["preconditions"]?["uid"]?.stringValue
    options.resourceVersion = body["preconditions"]?["resourceVersion"]?.stringValue
    options.isDryRun = request.isDryRun || body["dryRun"]?.arrayValue?.contains("All") ?? false
    return options
  }

  func delete(_ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    let resource = target.resource
    let options = try options(request)
    if resource.qualifiedName == "namespaces", ["default", "kube-system", "kube-public"].contains(target.name) {
      throw APIStatus.forbidden(resource, target.name, "this namespace may not be deleted")
    }
    let registry = registry
    let (existing, remaining) = try write { transaction -> (StoredObject, StoredObject?) in
      guard let existing = transaction.object(target.key) else { throw APIStatus.notFound(resource, target.name) }
      if let uid = options.uid, uid != existing.uid {
        throw APIStatus.conflict(
          resource, target.name,
          "Precondition failed: UID in precondition: \(uid), UID in object meta: \(existing.uid)")
      }
      if let version = options.resourceVersion, version != String(existing.resourceVersion) {
        throw APIStatus.conflict(
          resource, target.name,
          "Precondition failed: ResourceVersion in precondition: \(version), ResourceVersion in object meta: "
            + "\(existing.resourceVersion)")
      }
      if options.isDryRun { return (existing, nil) }
      return (
        existing,
        try Lifecycle.end(
          target.key, gracePeriod: options.gracePeriod, options.propagation, registry: registry, &transaction)
      )
    }
    if let remaining { return try response(remaining, request, resource) }
    var status = APIStatus(code: 200, reason: "", message: "")
    status.name = target.name
    status.group = resource.group
    status.kind = resource.plural
    status.uid = existing.uid
    return APIResponse(status)
  }

  func deleteCollection(_ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    let options = try options(request)
    let page = store.list(target.resource.qualifiedName, try filter(request, target))
    let registry = registry
    if !options.isDryRun {
      try write { transaction in
        for object in page.objects {
          _ = try Lifecycle.end(
            object.key, gracePeriod: options.gracePeriod, options.propagation, registry: registry, &transaction)
        }
      }
    }
    return APIResponse(APIStatus(code: 200, reason: "", message: ""))
  }
}
