import JSON

/// What policies that are not in force would change for recorded flows: `POST /v1/policies/diff`.
public struct PolicyDifference: NodeModel {
  /// Flows that are alike.
  public struct Entry: Hashable, Sendable {
    public enum Change: String, Hashable, Sendable {
      case denied = "newly-denied"
      case allowed = "newly-allowed"
      /// Each request would be judged, and no request was recorded with the connection.
      case judged = "newly-judged"
    }

    public let change: Change
    /// `default/a`, or an address.
    public let from: String
    public let to: String
    /// `9080/TCP`, `8/ICMPv4`.
    public let service: String
    /// `GET /path`; nil for a connection.
    public let request: String?
    public let count: Int
    /// What would decide: `CiliumNetworkPolicy default/a spec.egressDeny[0]`, or in words.
    public let reason: String

    public init(
      change: Change, from: String, to: String, service: String, request: String?, count: Int, reason: String
    ) {
      self.change = change
      self.from = from
      self.to = to
      self.service = service
      self.request = request
      self.count = count
      self.reason = reason
    }
  }

  public let entries: [Entry]
  /// Flows that are decided as before.
  public let unchanged: Int
  /// What of the policies would not be enforced as written: `CiliumNetworkPolicy default/a spec.egress[0]: …`.
  public let issues: [String]

  public init(entries: [Entry], unchanged: Int, issues: [String]) {
    self.entries = entries
    self.unchanged = unchanged
    self.issues = issues
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    var entries: [Entry] = []
    for entry in try cursor.required("entries").elements() { entries.append(try Entry(entry)) }
    self.init(
      entries: entries, unchanged: try cursor.number("unchanged"), issues: try cursor.required("issues").stringList())
  }

  public var json: JSONValue {
    [
      "entries": .array(entries.map(\.json)), "unchanged": .number(unchanged),
      "issues": .array(issues.map(JSONValue.string)),
    ]
  }
}

extension PolicyDifference.Entry {
  fileprivate init(_ cursor: JSONCursor) throws(FieldError) {
    self.init(
      change: try cursor.choice("change"), from: try cursor.text("from"), to: try cursor.text("to"),
      service: try cursor.text("service"), request: try cursor.optionalText("request"),
      count: try cursor.number("count"), reason: try cursor.text("reason"))
  }

  fileprivate var json: JSONValue {
    .compact([
      "change": .string(change.rawValue), "from": .string(from), "to": .string(to), "service": .string(service),
      "request": .text(request), "count": .number(count), "reason": .string(reason),
    ])
  }
}

extension JSONCursor {
  fileprivate func stringList() throws(FieldError) -> [String] {
    var list: [String] = []
    for element in try elements() { list.append(try element.string()) }
    return list
  }
}
