import Clocks
import Glibc

/// The checks behind `format:`. Unknown formats hold for every value, as JSON Schema says.
enum Formats {
  static func isValid(_ text: String, format: String) -> Bool {
    switch format {
    case "cidr": isCIDR(text)
    case "ip": isIPv4(text) || isIPv6(text)
    case "ipv4": isIPv4(text)
    case "ipv6": isIPv6(text)
    case "date-time": Timestamp.seconds(of: text) != nil
    case "byte": isBase64(text)
    case "quantity": isQuantity(text)
    case "icmp-type": isICMPType(text)
    case "uuid": text.wholeMatch(of: /[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}/) != nil
    default: true
    }
  }

  static func isIPv4(_ text: some StringProtocol) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        1...3 ~= part.utf8.count && part.utf8.allSatisfy { 48...57 ~= $0 }
          && (part.utf8.count == 1 || part.utf8.first != 48) && UInt8(part) != nil
      }
  }

  static func isIPv6(_ text: some StringProtocol) -> Bool {
    var address = in6_addr()
    return text.contains(":") && inet_pton(AF_INET6, String(text), &address) == 1
  }

  static func isCIDR(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[1].isEmpty, parts[1].utf8.allSatisfy({ 48...57 ~= $0 }),
      parts[1].utf8.count == 1 || parts[1].utf8.first != 48, let length = Int(parts[1])
    else { return false }
    return (isIPv4(parts[0]) && length <= 32) || (isIPv6(parts[0]) && length <= 128)
  }

  static func isBase64(_ text: String) -> Bool {
    let bytes = text.utf8.filter { $0 != 10 && $0 != 13 }
    guard bytes.count % 4 == 0 else { return false }
    let padding = bytes.reversed().prefix { $0 == 61 }.count
    return padding <= 2
      && bytes.dropLast(padding).allSatisfy { byte in
        65...90 ~= byte || 97...122 ~= byte || 48...57 ~= byte || byte == 43 || byte == 47
      }
  }

  static func isQuantity(_ text: String) -> Bool {
    text.wholeMatch(of: /[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+|[KMGTPE]i|[numkMGTPE])?/) != nil
  }

  /// A number of ICMP or ICMPv6, or one of the names that policies use.
  static func isICMPType(_ text: String) -> Bool { UInt8(text) != nil || icmpNames.contains(text) }

  private static let icmpNames: Set<String> = [
    "EchoReply", "DestinationUnreachable", "Redirect", "Echo", "EchoRequest", "RouterAdvertisement", "RouterSelection",
    "TimeExceeded", "ParameterProblem", "Timestamp", "TimestampReply", "Photuris", "ExtendedEchoRequest",
    "ExtendedEcho Reply", "ExtendedEchoReply", "PacketTooBig", "MulticastListenerQuery", "MulticastListenerReport",
    "MulticastListenerDone", "RouterSolicitation", "NeighborSolicitation", "NeighborAdvertisement", "RedirectMessage",
    "RouterRenumbering", "ICMPNodeInformationQuery", "ICMPNodeInformationResponse",
    "InverseNeighborDiscoverySolicitation", "InverseNeighborDiscoveryAdvertisement",
    "HomeAgentAddressDiscoveryRequest", "HomeAgentAddressDiscoveryReply", "MobilePrefixSolicitation",
    "MobilePrefixAdvertisement", "DuplicateAddressRequestCodeSuffix", "DuplicateAddressConfirmationCodeSuffix",
  ]
}
