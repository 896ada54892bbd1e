import JSON

/// What the proxy says of the listeners that the agent gave it: `DIR/proxy/listening.json`.
///
///     {"listeners": {"7": "5d0c…"}, "rejected": {"8": "resources[0].name: required"}, "rejectedGenerations": {"8": "77a1…"}}
///
/// Of a listener whose new file is refused, both are said: the generation that it serves, and why it serves no newer one.
public struct ListeningAnswer: Hashable, Sendable {
  public struct Rejection: Hashable, Sendable {
    /// With the path of the field.
    public let reason: String
    /// Of the file that is refused; nil where it could not be read.
    public let generation: String?

    public init(reason: String, generation: String?) {
      self.reason = reason
      self.generation = generation
    }
  }

  /// The generation that is served of each listener.
  public let listeners: [UInt32: String]
  public let rejected: [UInt32: Rejection]

  public init(listeners: [UInt32: String] = [:], rejected: [UInt32: Rejection] = [:]) {
    self.listeners = listeners
    self.rejected = rejected
  }

  public var json: JSONValue {
    func object(_ values: [UInt32: String]) -> JSONValue {
      .object(Dictionary(uniqueKeysWithValues: values.map { ("\($0.key)", .string($0.value)) }))
    }
    return [
      "listeners": object(listeners), "rejected": object(rejected.mapValues(\.reason)),
      "rejectedGenerations": object(rejected.compactMapValues(\.generation)),
    ]
  }

  /// Decodes what ``json`` encodes; what it does not know it leaves out.
  public init(_ cursor: JSONCursor) throws(FieldError) {
    let generations = try ListeningAnswer.values(cursor, "rejectedGenerations")
    listeners = try ListeningAnswer.values(cursor, "listeners")
    rejected = Dictionary(
      uniqueKeysWithValues: try ListeningAnswer.values(cursor, "rejected").map {
        ($0.key, Rejection(reason: $0.value, generation: generations[$0.key]))
      })
  }

  private static func values(_ cursor: JSONCursor, _ key: String) throws(FieldError) -> [UInt32: String] {
    var values: [UInt32: String] = [:]
    for (number, value) in try cursor.member(key)?.members() ?? [] {
      guard let number = UInt32(number) else { throw value.error("is not about a listener's number") }
      values[number] = try value.string()
    }
    return values
  }
}
