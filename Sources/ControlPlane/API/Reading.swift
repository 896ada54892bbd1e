import JSON
import Labels

extension APIServer {
  func get(_ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    guard let object = store.object(target.key) else { throw APIStatus.notFound(target.resource, target.name) }
    return try response(object, request, target.resource)
  }

  /// One stored object in the form that the client wants.
  func response(
    _ object: StoredObject, _ request: APIRequest, _ resource: Resource, code: Int = 200, warnings: [String] = []
  ) throws -> APIResponse {
    var response: APIResponse
    switch Representation(request) {
    case .object: response = APIResponse(code: code, body: .bytes(try bytes(object, resource)))
    case .table(let includeObject):
      let rows = [try Table.row(try value(object, resource), resource, includeObject: includeObject)]
      response = APIResponse(
        code: code,
        json: Table.table(
          rows, resource, metadata: ["resourceVersion": .string(String(object.resourceVersion))], headers: true))
    case .metadataOnly:
      response = APIResponse(code: code, json: Table.partial(try value(object, resource)))
    }
    response.warnings = warnings
    return response
  }

  /// The text of an object in the version of `resource`.
  func bytes(_ object: StoredObject, _ resource: Resource) throws -> [UInt8] {
    resource.version == resource.storageVersion ? object.body : try value(object, resource).serialized()
  }

  func value(_ object: StoredObject, _ resource: Resource) throws -> JSONValue {
    var value = try object.value()
    if resource.version != resource.storageVersion { value["apiVersion"] = .string(resource.groupVersion) }
    return value
  }

  func filter(_ request: APIRequest, _ target: ResourceTarget) throws(APIStatus) -> ObjectFilter {
    var filter = ObjectFilter()
    if target.resource.isNamespaced, !target.namespace.isEmpty { filter.namespace = target.namespace }
    if !target.name.isEmpty { filter.name = target.name }
    if let text = request.query["labelSelector"], !text.isEmpty {
      do {
        filter.labels = try LabelSelector(parsing: text)
      } catch {
        throw .badRequest("unable to parse requirement: \(error)")
      }
    }
    if let text = request.query["fieldSelector"], !text.isEmpty {
      let offered = Set(target.resource.selectable.map { $0.joined(separator: ".") })
      filter.fields = try ObjectFilter.parseFields(text, offered: offered)
    }
    return filter
  }

  func list(_ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    let resource = target.resource
    let limit = request.query["limit"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    var after: ObjectKey?
    if let token = request.query["continue"], !token.isEmpty {
      guard let key = ContinueToken.key(token, resource: resource.qualifiedName) else {
        throw APIStatus.badRequest("continue key is not valid")
      }
      after = key
    }
    let page = store.list(resource.qualifiedName, try filter(request, target), limit: limit, after: after)
    var metadata: JSONValue = ["resourceVersion": .string(String(page.resourceVersion))]
    if let next = page.next { metadata["continue"] = .string(ContinueToken.text(next)) }
    if let remaining = page.remaining { metadata["remainingItemCount"] = .integer(Int64(remaining)) }
    switch Representation(request) {
    case .table(let includeObject):
      let rows = try page.objects.map {
        try Table.row(try value($0, resource), resource, includeObject: includeObject)
      }
      return APIResponse(json: Table.table(rows, resource, metadata: metadata, headers: true))
    case .metadataOnly:
      let items = try page.objects.map { Table.partial(try value($0, resource)) }
      return APIResponse(json: [
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": metadata,
        "items": .array(items),
      ])
    case .object:
      var body = Array(#"{"apiVersion":"\#(resource.groupVersion)","items":["#.utf8)
      body.reserveCapacity(page.objects.reduce(256) { $0 + $1.body.count + 1 })
      for (index, object) in page.objects.enumerated() {
        if index > 0 { body.append(UInt8(ascii: ",")) }
        body += try bytes(object, resource)
      }
      body += Array(#"],"kind":"\#(resource.listKind)","metadata":"#.utf8)
      body += metadata.serialized()
      body.append(UInt8(ascii: "}"))
      return APIResponse(body: .bytes(body))
    }
  }
}

/// Where the next page of a list starts, opaque to clients.
enum ContinueToken {
  static func text(_ key: ObjectKey) -> String {
    Array("\(key.namespace)/\(key.name)".utf8).map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
  }

  static func key(_ text: String, resource: String) -> ObjectKey? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) else { return nil }
      bytes.append(byte)
    }
    let parts = String(decoding: bytes, as: UTF8.self).split(separator: "/", omittingEmptySubsequences: false)
    return parts.count == 2
      ? ObjectKey(resource: resource, namespace: String(parts[0]), name: String(parts[1])) : nil
  }
}
