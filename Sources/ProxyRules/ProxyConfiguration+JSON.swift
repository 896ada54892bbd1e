import JSON

extension ProxyConfiguration {
  /// Reads a configuration strictly: unknown fields, numbers out of range and ids that occur twice are errors.
  public init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["generation", "ruleSets", "authors"])
    let generation = try cursor.required("generation")
    guard let number = UInt64(exactly: try generation.integer()) else {
      throw generation.error("must not be negative")
    }
    self.init(generation: number)
    var seen: Set<UInt32> = []
    for element in try cursor.member("ruleSets")?.elements() ?? [] {
      let set = try RuleSet(element)
      guard seen.insert(set.id).inserted else { throw element.error("rule set \(set.id) occurs twice") }
      ruleSets.append(set)
    }
    ruleSets.sort { $0.id < $1.id }
    for (key, author) in try cursor.member("authors")?.members() ?? [] {
      guard let id = UInt32(key), String(id) == key else { throw author.error("key must be a rule id") }
      authors[id] = try RuleAuthor(author)
    }
  }

  public init(parsing bytes: some Collection<UInt8>) throws {
    try self.init(JSONCursor(try JSONValue(parsing: bytes)))
  }

  public var json: JSONValue {
    .object([
      "generation": .integer(Int64(clamping: generation)),
      "ruleSets": .array(ruleSets.map(\.json)),
      "authors": .object(
        Dictionary(uniqueKeysWithValues: authors.map { (String($0.key), $0.value.json) })),
    ])
  }
}

extension RuleAuthor {
  public init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["kind", "namespace", "name", "path"])
    self.init(
      kind: try cursor.required("kind").string(), namespace: try cursor.member("namespace")?.string(),
      name: try cursor.required("name").string(), path: try cursor.required("path").string())
  }

  public var json: JSONValue {
    var members: [String: JSONValue] = ["kind": .string(kind), "name": .string(name), "path": .string(path)]
    if let namespace { members["namespace"] = .string(namespace) }
    return .object(members)
  }
}
