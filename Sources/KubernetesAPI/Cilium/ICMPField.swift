import JSON

/// An ICMP message type that a rule names: an element of `icmps[].fields`.
public struct ICMPField: Hashable, Sendable {
  public enum Family: String, Hashable, Sendable {
    case ipv4 = "IPv4"
    case ipv6 = "IPv6"
  }

  public let family: Family
  public let type: UInt8
  public let path: String

  public init(family: Family, type: UInt8, path: String = "") {
    self.family = family
    self.type = type
    self.path = path
  }

  static let maximumCount = 40

  /// Decodes one element of `icmps`, whose fields are alternatives.
  static func fields(ofRule cursor: JSONCursor) throws(FieldError) -> [ICMPField] {
    try cursor.allowOnly(["fields"])
    let fields = try cursor.list("fields", ICMPField.init) ?? []
    guard fields.count <= maximumCount else { throw cursor.error("too many types, at most \(maximumCount)") }
    return fields
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["family", "type"])
    var family = Family.ipv4
    if let member = try cursor.member("family") {
      guard let named = Family(rawValue: try member.string()) else {
        throw member.error("must be IPv4 or IPv6, is \"\(try member.string())\"")
      }
      family = named
    }
    let type = try cursor.required("type")
    if let text = type.value.stringValue {
      let names = family == .ipv4 ? ICMPField.typesV4 : ICMPField.typesV6
      guard let number = UInt8(text) ?? names[text] else {
        throw type.error("\"\(text)\" is not an ICMP type of \(family.rawValue)")
      }
      self.init(family: family, type: number, path: cursor.path)
    } else {
      self.init(family: family, type: try type.integer(in: 0...255), path: cursor.path)
    }
  }

  /// IANA, "Internet Control Message Protocol (ICMP) Parameters", by the names that Cilium gives them.
  static let typesV4: [String: UInt8] = [
    "EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "Echo": 8, "EchoRequest": 8, "RouterAdvertisement": 9,
    "RouterSelection": 10, "TimeExceeded": 11, "ParameterProblem": 12, "Timestamp": 13, "TimestampReply": 14,
    "Photuris": 40, "ExtendedEchoRequest": 42, "ExtendedEcho Reply": 43, "ExtendedEchoReply": 43,
  ]

  /// IANA, "Internet Control Message Protocol version 6 (ICMPv6) Parameters", by the names that Cilium gives them.
  static let typesV6: [String: UInt8] = [
    "DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4, "EchoRequest": 128,
    "EchoReply": 129, "MulticastListenerQuery": 130, "MulticastListenerReport": 131, "MulticastListenerDone": 132,
    "RouterSolicitation": 133, "RouterAdvertisement": 134, "NeighborSolicitation": 135, "NeighborAdvertisement": 136,
    "RedirectMessage": 137, "RouterRenumbering": 138, "ICMPNodeInformationQuery": 139,
    "ICMPNodeInformationResponse": 140, "InverseNeighborDiscoverySolicitation": 141,
    "InverseNeighborDiscoveryAdvertisement": 142, "HomeAgentAddressDiscoveryRequest": 144,
    "HomeAgentAddressDiscoveryReply": 145, "MobilePrefixSolicitation": 146, "MobilePrefixAdvertisement": 147,
    "DuplicateAddressRequestCodeSuffix": 157, "DuplicateAddressConfirmationCodeSuffix": 158,
    "ExtendedEchoRequest": 160, "ExtendedEchoReply": 161,
  ]
}
