/// An Ethernet address, six bytes in the order they are sent.
public struct MACAddress: Hashable, Sendable {
  public let bytes: [UInt8]

  /// nil unless there are six bytes.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 6 else { return nil }
    self.bytes = Array(bytes)
  }

  /// Parses `02:00:00:00:00:01`.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
    guard parts.count == 6, bytes.count == 6 else { return nil }
    self.bytes = bytes
  }

  /// A unicast, locally administered address (IEEE 802, 8.4) from 46 of the given random bits.
  public init(random bits: UInt64) {
    var bytes = (0..<6).map { UInt8(truncatingIfNeeded: bits >> UInt64($0 * 8)) }
    bytes[0] = bytes[0] & 0xFC | 0x02
    self.bytes = bytes
  }
}

extension MACAddress: CustomStringConvertible {
  public var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
  }
}
