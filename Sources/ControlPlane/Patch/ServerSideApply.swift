import JSON

/// What one apply says: who, and which object it wants.
struct ApplyOperation: Sendable {
  var manager: String
  var configuration: JSONValue
  var subresource: String
}

/// Merging of applied configurations.
enum ServerSideApply {
  /// The live object with the configuration laid over it.
  static func merge(_ configuration: JSONValue, onto live: JSONValue?, _ schema: Schema) -> JSONValue {
    if let members = configuration.objectValue, !schema.isAtomicMap, let before = live?.objectValue {
      var result = before
      for (key, value) in members {
        if value.isNull {
          result[key] = nil
        } else {
          result[key] = merge(value, onto: before[key], schema.member(key) ?? .any)
        }
      }
      return .object(result)
    }
    guard let elements = configuration.arrayValue, let before = live?.arrayValue else { return configuration }
    switch schema.rules.listType {
    case .atomic: return configuration
    case .set: return .array(before + elements.filter { !before.contains($0) })
    case .map:
      var result = before
      for element in elements {
        let key = schema.elementKey(element)
        if let index = result.firstIndex(where: { schema.elementKey($0) == key }) {
          result[index] = merge(element, onto: result[index], schema.rules.items ?? .any)
        } else {
          result.append(element)
        }
      }
      return .array(result)
    }
  }

  /// Removes what the applier no longer wants and nobody else owns.
  static func prune(_ value: JSONValue, _ removed: FieldSet, kept: FieldSet, _ schema: Schema) -> JSONValue? {
    if removed.children.isEmpty { return value }
    if var members = value.objectValue {
      for (step, child) in removed.children where step.hasPrefix("f:") {
        let key = String(step.dropFirst(2))
        guard let member = members[key] else { continue }
        let keptChild = kept.children[step] ?? FieldSet()
        if child.isMember, keptChild.isEmpty {
          members[key] = nil
        } else {
          members[key] = prune(member, child, kept: keptChild, schema.member(key) ?? .any)
        }
      }
      return members.nonEmpty.map(JSONValue.object)
    }
    guard let elements = value.arrayValue else { return value }
    var result: [JSONValue] = []
    for element in elements {
      let step = schema.elementKey(element).map { "k:" + $0 } ?? "v:" + element.text()
      guard let child = removed.children[step] else {
        result.append(element)
        continue
      }
      let keptChild = kept.children[step] ?? FieldSet()
      if child.isMember, keptChild.isEmpty { continue }
      if let rest = prune(element, child, kept: keptChild, schema.rules.items ?? .any) { result.append(rest) }
    }
    return result.nonEmpty.map(JSONValue.array)
  }
}

extension APIServer {
  func apply(_ configuration: JSONValue, _ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    let resource = target.resource
    guard let manager = request.query["fieldManager"], !manager.isEmpty else {
      throw APIStatus.badRequest(
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch")
    }
    guard configuration.objectValue != nil else { throw APIStatus.badRequest("the configuration must be an object") }
    guard configuration["metadata"]?["managedFields"] == nil else {
      throw APIStatus.badRequest("metadata.managedFields must be nil")
    }
    let prepared = try prepare(configuration, request, target, applyDefaults: false)
    var wanted = prepared.value
    if let name = wanted.scalarText(at: ["metadata", "name"]), name != target.name {
      throw APIStatus.badRequest("the name of the object (\(name)) does not match the name on the URL (\(target.name))")
    }
    wanted.set(["metadata", "name"], to: .string(target.name))
    if resource.hasStatus, target.subresource.isEmpty { wanted["status"] = nil }
    let operation = ApplyOperation(manager: manager, configuration: wanted, subresource: target.subresource)
    if store.object(target.key) == nil, target.subresource.isEmpty {
      var value = wanted
      Shaping.applyDefaults(&value, resource.schema)
      return try insert(value, request, target, resource, warnings: prepared.warnings, operation: operation)
    }
    let (stored, _) = try modify(request, target, operation: operation) { live in
      let entries = ManagedFields.decode(live)
      let difference = FieldSet(changedFrom: live, to: wanted, resource.schema)
      if !request.flag("force") { try refuseConflicts(difference, entries, operation, resource, target.name) }
      var value = ServerSideApply.merge(wanted, onto: live, resource.schema)
      let mine = FieldSet(of: wanted, resource.schema)
      if let previous = entries.first(where: { $0.isApply(by: operation) })?.fields {
        let others = entries.filter { !$0.isApply(by: operation) }.reduce(mine) { $0.union($1.fields) }
        let removed = previous.subtracting(mine)
        value = ServerSideApply.prune(value, removed, kept: others, resource.schema) ?? value
      }
      value.set(["metadata", "resourceVersion"], to: wanted["metadata"]?["resourceVersion"])
      Shaping.applyDefaults(&value, resource.schema)
      return value
    }
    return try response(stored, request, resource, warnings: prepared.warnings)
  }

  private func refuseConflicts(
    _ difference: FieldSet, _ entries: [ManagedFields.Entry], _ operation: ApplyOperation, _ resource: Resource,
    _ name: String
  ) throws(APIStatus) {
    var causes: [APIStatus.Cause] = []
    for entry in entries where !entry.isApply(by: operation) {
      let using = entry.operation == "Apply" ? "" : " using \(entry.apiVersion)"
      for path in difference.intersection(entry.fields).paths {
        causes.append(
          .init(
            reason: "FieldManagerConflict", message: "conflict with \"\(entry.manager)\"\(using)", field: path))
      }
    }
    guard !causes.isEmpty else { return }
    var lines: [String] = []
    for cause in causes { lines.append("\(cause.message): \(cause.field)") }
    let count = causes.count == 1 ? "1 conflict" : "\(causes.count) conflicts"
    let list = lines.count == 1 ? " " + lines[0] : "\n" + lines.map { "- \($0)" }.joined(separator: "\n")
    var status = APIStatus(code: 409, reason: "Conflict", message: "Apply failed with \(count):\(list)")
    status.name = name
    status.group = resource.group
    status.kind = resource.plural
    status.causes = causes
    throw status
  }
}
