/// What an IP packet carries, by the number of its header (IANA, "Assigned Internet Protocol Numbers").
public struct TransportProtocol: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public init(_ number: UInt8) { rawValue = number }

  public static let icmp = TransportProtocol(1)
  public static let tcp = TransportProtocol(6)
  public static let udp = TransportProtocol(17)
  public static let icmpv6 = TransportProtocol(58)
  public static let sctp = TransportProtocol(132)

  private static let names: [(TransportProtocol, String)] = [
    (.tcp, "TCP"), (.udp, "UDP"), (.sctp, "SCTP"), (.icmp, "ICMP"), (.icmpv6, "ICMPv6"),
  ]

  /// From a name in any case; `ICMPv4` is `ICMP`. nil for any other word.
  public init?(name: some StringProtocol) {
    let name = name.uppercased()
    guard let known = Self.names.first(where: { $0.1.uppercased() == name }) else {
      guard name == "ICMPV4" else { return nil }
      self = .icmp
      return
    }
    self = known.0
  }

  public var hasName: Bool { Self.names.contains { $0.0 == self } }

  public var isICMP: Bool { self == .icmp || self == .icmpv6 }
}

extension TransportProtocol: CustomStringConvertible {
  /// `TCP`; the number of one without a name here.
  public var description: String { Self.names.first { $0.0 == self }?.1 ?? String(rawValue) }
}
