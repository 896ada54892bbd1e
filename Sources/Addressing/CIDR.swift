/// A block of addresses: an address whose host bits are zero, and the length of its prefix in the 128-bit form.
public struct CIDR: Hashable, Sendable, Comparable {
  public let address: IPAddress
  /// 0-128; an IPv4 prefix of n bits is 96 + n.
  public let mappedLength: Int

  /// The block of `length` leading bits around `address`; `length` counts within the address's own family.
  /// Host bits are cleared. nil when the length does not fit the family.
  public init?(_ address: IPAddress, length: Int) {
    let width = address.isIPv4 ? 32 : 128
    guard (0...width).contains(length) else { return nil }
    let mapped = length + 128 - width
    self.address = CIDR.masked(address, to: mapped)
    self.mappedLength = mapped
  }

  /// The block of this one address.
  public init(_ address: IPAddress) {
    self.address = address
    self.mappedLength = 128
  }

  /// Parses `address/length`, or an address alone as a block of one.
  public init?(_ text: some StringProtocol) {
    guard let slash = text.firstIndex(of: "/") else {
      guard let address = IPAddress(text) else { return nil }
      self.init(address)
      return
    }
    let digits = text[text.index(after: slash)...]
    guard let address = IPAddress(text[..<slash]), !digits.isEmpty, digits.utf8.count <= 3,
      digits.utf8.allSatisfy({ (48...57).contains($0) }), let length = Int(digits)
    else { return nil }
    self.init(address, length: length)
  }

  public var isIPv4: Bool { address.isIPv4 && mappedLength >= 96 }

  /// The length of the prefix within its own family.
  public var length: Int { isIPv4 ? mappedLength - 96 : mappedLength }

  public func contains(_ other: IPAddress) -> Bool {
    CIDR.masked(other, to: mappedLength) == address
  }

  public func contains(_ other: CIDR) -> Bool {
    other.mappedLength >= mappedLength && contains(other.address)
  }

  public static func < (left: CIDR, right: CIDR) -> Bool {
    (left.address, left.mappedLength) < (right.address, right.mappedLength)
  }

  private static func masked(_ address: IPAddress, to length: Int) -> IPAddress {
    func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(UInt64.max >> UInt64(bits)) }
    return IPAddress(high: address.high & mask(length), low: address.low & mask(length - 64))
  }
}

extension CIDR: CustomStringConvertible {
  public var description: String { "\(address)/\(length)" }
}

extension CIDR: Codable {
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let cidr = CIDR(text) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "\"\(text)\" is not a CIDR"))
    }
    self = cidr
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
