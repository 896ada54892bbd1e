import JSON

extension HTTPRule {
  public init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["id", "method", "path", "host", "headers", "headerMatches"])
    self.init(
      id: try cursor.required("id").number32(), method: try cursor.member("method")?.string(),
      path: try cursor.member("path")?.string(), host: try cursor.member("host")?.string())
    for element in try cursor.member("headers")?.elements() ?? [] { headers.append(try element.string()) }
    for element in try cursor.member("headerMatches")?.elements() ?? [] {
      headerMatches.append(try HTTPHeaderMatch(element))
    }
  }

  public var json: JSONValue {
    var members: [String: JSONValue] = ["id": .integer(Int64(id))]
    if let method { members["method"] = .string(method) }
    if let path { members["path"] = .string(path) }
    if let host { members["host"] = .string(host) }
    if !headers.isEmpty { members["headers"] = .array(headers.map { .string($0) }) }
    if !headerMatches.isEmpty { members["headerMatches"] = .array(headerMatches.map(\.json)) }
    return .object(members)
  }
}

extension HTTPHeaderMatch {
  public init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["name", "value", "mismatch"])
    self.init(
      name: try cursor.required("name").string(), value: try cursor.member("value")?.string() ?? "")
    if let mismatch = try cursor.member("mismatch") {
      guard let action = Mismatch(rawValue: try mismatch.string()) else {
        throw mismatch.error("must be one of LOG, ADD, DELETE, REPLACE")
      }
      self.mismatch = action
    }
  }

  public var json: JSONValue {
    var members: [String: JSONValue] = ["name": .string(name)]
    if !value.isEmpty { members["value"] = .string(value) }
    if let mismatch { members["mismatch"] = .string(mismatch.rawValue) }
    return .object(members)
  }
}
