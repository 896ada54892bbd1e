import JSON

/// What a name was answered with: `GET /v1/names`.
public struct NameModel: NodeModel {
  public struct Address: Hashable, Sendable {
    public let address: String
    /// When the last answer expires, seconds since 1970; a connection or the grace period may keep it longer.
    public let expires: Int64
    /// What the kernel takes the address for; 0 when no policy names it.
    public let identity: UInt32

    public init(address: String, expires: Int64, identity: UInt32) {
      self.address = address
      self.expires = expires
      self.identity = identity
    }
  }

  public let name: String
  /// The patterns of policies that the name matches.
  public let patterns: [String]
  public let addresses: [Address]

  public init(name: String, patterns: [String], addresses: [Address]) {
    self.name = name
    self.patterns = patterns
    self.addresses = addresses
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    var addresses: [Address] = []
    for element in try cursor.required("addresses").elements() {
      addresses.append(
        Address(
          address: try element.text("address"), expires: try element.number("expires"),
          identity: try element.number("identity")))
    }
    var patterns: [String] = []
    for element in try cursor.required("patterns").elements() { patterns.append(try element.string()) }
    self.init(name: try cursor.text("name"), patterns: patterns, addresses: addresses)
  }

  public var json: JSONValue {
    [
      "name": .string(name), "patterns": .array(patterns.map(JSONValue.string)),
      "addresses": .array(
        addresses.map {
          ["address": .string($0.address), "expires": .number($0.expires), "identity": .number($0.identity)]
        }),
    ]
  }
}
