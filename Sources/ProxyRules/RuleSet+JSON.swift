import JSON

extension RuleSet {
  /// Reads `{"id": 1, "kind": "dns", "rules": […]}`; a set without a kind is one of HTTP.
  public init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["id", "kind", "rules"])
    var kind = RuleKind.http
    if let member = try cursor.member("kind") {
      guard let known = RuleKind(rawValue: try member.string()) else {
        throw member.error("must be one of \(RuleKind.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      kind = known
    }
    let id = try cursor.required("id").number32()
    let elements = try cursor.required("rules").elements()
    switch kind {
    case .http:
      var rules: [HTTPRule] = []
      for element in elements { rules.append(try HTTPRule(element)) }
      self.init(id: id, rules: .http(rules))
    case .dns, .tls:
      var rules: [NameRule] = []
      for element in elements { rules.append(try NameRule(element)) }
      self.init(id: id, rules: kind == .dns ? .dns(rules) : .tls(rules))
    }
  }

  public var json: JSONValue {
    let list: [JSONValue] =
      switch rules {
      case .http(let rules): rules.map(\.json)
      case .dns(let rules), .tls(let rules): rules.map(\.json)
      }
    return .object(["id": .integer(Int64(id)), "kind": .string(kind.rawValue), "rules": .array(list)])
  }
}

extension JSONCursor {
  func number32() throws(FieldError) -> UInt32 {
    guard let number = UInt32(exactly: try integer()) else { throw error("must be a number from 0 to 4294967295") }
    return number
  }
}
