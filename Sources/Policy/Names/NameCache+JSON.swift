import Addressing
public import JSON
import ProxyRules

extension NameCache {
  /// The cache as a document that survives the agent.
  public var json: JSONValue {
    .array(
      names.sorted { $0.key < $1.key }.map { name, addresses in
        [
          "name": .string(name),
          "addresses": .object(
            Dictionary(uniqueKeysWithValues: addresses.map { ($0.key.description, .integer($0.value)) })),
        ]
      })
  }

  /// Takes over what an earlier agent kept, as far as it still holds.
  public mutating func restore(_ cursor: JSONCursor, now: Int64) throws(FieldError) {
    for element in try cursor.elements() {
      let name = try element.required("name").string()
      for (text, expires) in try element.required("addresses").members() {
        guard let address = IPAddress(text) else { throw expires.error("key must be an address") }
        _ = learn(LearnedName(name: name, addresses: [address], expires: try expires.integer()), now: now)
      }
    }
  }
}
