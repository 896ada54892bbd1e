public import Addressing
public import JSON

/// What a server answered for a name.
public struct LearnedName: Hashable, Sendable {
  public var name: String
  public var addresses: [IPAddress]
  /// When the answer is too old to be used: seconds since 1970.
  public var expires: Int64

  public init(name: String, addresses: [IPAddress], expires: Int64) {
    self.name = name
    self.addresses = addresses
    self.expires = expires
  }

  public init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["name", "addresses", "expires"])
    self.init(
      name: try cursor.required("name").string(), addresses: [], expires: try cursor.required("expires").integer())
    for element in try cursor.required("addresses").elements() {
      guard let address = IPAddress(try element.string()) else { throw element.error("must be an IP address") }
      addresses.append(address)
    }
  }

  public var json: JSONValue {
    [
      "name": .string(name), "addresses": .array(addresses.map { .string($0.description) }),
      "expires": .integer(expires),
    ]
  }
}

/// What the proxy tells the agent, one message of a SOCK_SEQPACKET socket; the agent answers with ``acknowledgement``
/// when the kernel knows the addresses.
public struct NameReport: Hashable, Sendable {
  public var id: Int64
  public var names: [LearnedName]

  public init(id: Int64, names: [LearnedName]) {
    self.id = id
    self.names = names
  }

  public init(parsing bytes: some Collection<UInt8>) throws {
    let cursor = JSONCursor(try JSONValue(parsing: bytes))
    try cursor.allowOnly(["id", "names"])
    self.init(id: try cursor.required("id").integer(), names: [])
    for element in try cursor.required("names").elements() { names.append(try LearnedName(element)) }
  }

  public var json: JSONValue { ["id": .integer(id), "names": .array(names.map(\.json))] }

  /// The agent's answer.
  public static func acknowledgement(_ id: Int64) -> JSONValue { ["acknowledged": .integer(id)] }

  /// The id in the agent's answer; nil when it is none.
  public static func acknowledged(parsing bytes: some Collection<UInt8>) -> Int64? {
    try? JSONCursor(try JSONValue(parsing: bytes)).required("acknowledged").integer()
  }
}
