public import Addressing
public import JSON

/// Which identity an address has for the names it was answered for: the document that the agent writes into
/// `DIR/proxy/names.json`, so that the proxy can tell the datapath of a new address by itself when an identity for it
/// exists, and knows which names matter at all.
public struct NameTable: Hashable, Sendable {
  /// An identity of addresses: those of the patterns' names, inside of the blocks.
  public struct Key: Hashable, Sendable {
    public var isIPv4: Bool
    /// Of the patterns in use those that name the address, sorted.
    public var patterns: [DNSNamePattern]
    /// Of the blocks in use those that cover the address, sorted.
    public var blocks: [CIDR]

    public init(isIPv4: Bool, patterns: [DNSNamePattern], blocks: [CIDR]) {
      self.isIPv4 = isIPv4
      self.patterns = patterns
      self.blocks = blocks
    }
  }

  /// The patterns that policies name, sorted.
  public var patterns: [DNSNamePattern]
  /// The blocks that policies name, sorted.
  public var blocks: [CIDR]
  /// The identities whose policy the kernel has.
  public var identities: [Key: UInt32]

  public init(patterns: [DNSNamePattern] = [], blocks: [CIDR] = [], identities: [Key: UInt32] = [:]) {
    self.patterns = patterns
    self.blocks = blocks
    self.identities = identities
  }

  /// The patterns in use that a name matches, sorted.
  public func patterns(matching name: String) -> [DNSNamePattern] { patterns.filter { $0.matches(name) } }

  /// What an address is called when the names of `patterns` are its.
  public func key(_ address: IPAddress, _ patterns: [DNSNamePattern]) -> Key {
    Key(
      isIPv4: address.isIPv4, patterns: patterns,
      blocks: blocks.filter { $0.isIPv4 == address.isIPv4 && $0.contains(address) })
  }
}

extension NameTable {
  public init(parsing bytes: some Collection<UInt8>) throws {
    try self.init(JSONCursor(try JSONValue(parsing: bytes)))
  }

  public init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["patterns", "blocks", "identities"])
    self.init(patterns: try NameTable.patterns(cursor), blocks: try NameTable.blocks(cursor))
    for element in try cursor.required("identities").elements() {
      try element.allowOnly(["number", "family", "patterns", "blocks"])
      let family = try element.required("family").integer()
      guard family == 4 || family == 6 else { throw try element.required("family").error("must be 4 or 6") }
      let key = Key(
        isIPv4: family == 4, patterns: try NameTable.patterns(element), blocks: try NameTable.blocks(element))
      identities[key] = try element.required("number").number32()
    }
  }

  private static func patterns(_ cursor: JSONCursor) throws(FieldError) -> [DNSNamePattern] {
    var patterns: [DNSNamePattern] = []
    for element in try cursor.required("patterns").elements() { patterns.append(DNSNamePattern(try element.string())) }
    return patterns.sorted()
  }

  private static func blocks(_ cursor: JSONCursor) throws(FieldError) -> [CIDR] {
    var blocks: [CIDR] = []
    for element in try cursor.required("blocks").elements() {
      guard let block = CIDR(try element.string()) else { throw element.error("must be a block of addresses") }
      blocks.append(block)
    }
    return blocks.sorted()
  }

  public var json: JSONValue {
    func lists(_ patterns: [DNSNamePattern], _ blocks: [CIDR]) -> [String: JSONValue] {
      [
        "patterns": .array(patterns.map { .string($0.text) }),
        "blocks": .array(blocks.map { .string($0.description) }),
      ]
    }
    var members = lists(patterns, blocks)
    members["identities"] = .array(
      identities.sorted { $0.value < $1.value }.map { key, number in
        var entry = lists(key.patterns, key.blocks)
        entry["number"] = .integer(Int64(number))
        entry["family"] = .integer(key.isIPv4 ? 4 : 6)
        return .object(entry)
      })
    return .object(members)
  }
}
