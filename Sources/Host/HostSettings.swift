import Addressing
import Datapath

/// What is said about `martlet up`, on the command line or in a file; nil where nothing is said.
public struct HostSettings: Hashable, Sendable {
  public var stateDirectory: String?
  public var nodeName: String?
  public var apiAddress: ListenAddress?
  public var podCIDRs: [CIDR]?
  public var serviceCIDRs: [CIDR]?
  public var nodePorts: ClosedRange<UInt16>?
  public var loadBalancerCIDRs: [CIDR]?
  public var keepsDatapath: Bool?
  public var audit: Bool?
  public var devices: [String]?
  public var masquerades: Bool?
  public var nativeCIDRs: [CIDR]?
  public var natPorts: ClosedRange<UInt16>?
  public var loadBalancerMode: LoadBalancerMode?
  public var acceleration: Acceleration?
  public var maglevSize: Int?
  public var otlpEndpoint: String?
  /// Percent.
  public var traceSampling: Double?
  public var mapSizes: MapSizes?

  public init() {}

  /// One block of each family, IPv4 first; nil when it is anything else.
  public static func blocks(_ texts: [some StringProtocol]) -> [CIDR]? {
    let blocks = texts.compactMap { CIDR($0) }
    guard blocks.count == texts.count, blocks.count == 2, blocks.count(where: \.isIPv4) == 1 else { return nil }
    return blocks.sorted { $0.isIPv4 && !$1.isIPv4 }
  }

  /// One block or more, of any family; nil when it is anything else.
  public static func anyBlocks(_ texts: [some StringProtocol]) -> [CIDR]? {
    let blocks = texts.compactMap { CIDR($0) }
    return blocks.count == texts.count && !blocks.isEmpty ? blocks : nil
  }

  /// `30000-32767`; nil when it is no range of ports.
  public static func portRange(_ text: String) -> ClosedRange<UInt16>? {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
    guard parts.count == 2, let first = parts[0], let last = parts[1], first > 0, first <= last else { return nil }
    return first...last
  }
}

/// An address and a port to listen on: `127.0.0.1:6443`, `[::1]:6443`.
public struct ListenAddress: Hashable, Sendable {
  public let address: String
  public let port: UInt16

  init(_ address: String, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// nil when `text` is no such thing.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    let part = text[..<colon]
    let address = part.hasPrefix("[") && part.hasSuffix("]") ? part.dropFirst().dropLast() : part
    guard IPAddress(address) != nil else { return nil }
    self.address = String(address)
    self.port = port
  }
}
