import Files

/// The source ports that translated connections get when their own is taken.
///
/// The same tuple must not be a connection of the node's own as well. So these are none of the ports that the node's programs
/// connect from, nor of those at which it answers for Services.
public enum NATPorts {
  /// Below NodePorts (30000-32767) and below Linux's ephemeral ports (32768-60999): 20,000 for each address and port that is
  /// connected to.
  public static let standard: ClosedRange<UInt16> = 10000...29999

  /// Why a range is not free for this; nil when it is.
  ///
  /// - Parameter ephemeral: the ports that the node's own programs connect from; nil when they are not known.
  public static func problem(
    _ ports: ClosedRange<UInt16>, nodePorts: ClosedRange<UInt16>?, ephemeral: ClosedRange<UInt16>?
  ) -> String? {
    func text(_ range: ClosedRange<UInt16>) -> String { "\(range.lowerBound)-\(range.upperBound)" }
    if let ephemeral, ephemeral.overlaps(ports) {
      return "NAT ports \(text(ports)) overlap with the ports that the node itself connects from, \(text(ephemeral)) "
        + "(net.ipv4.ip_local_port_range)"
    }
    if let nodePorts, nodePorts.overlaps(ports) {
      return "NAT ports \(text(ports)) overlap with the ports of Services, \(text(nodePorts))"
    }
    return nil
  }

  /// The ports that programs in the calling thread's network namespace connect from; nil when they can not be read.
  public static func ephemeral() -> ClosedRange<UInt16>? {
    guard let bytes = try? StateFiles.read("/proc/sys/net/ipv4/ip_local_port_range") else { return nil }
    return range(String(decoding: bytes, as: UTF8.self))
  }

  /// Reads the two numbers of such a file.
  static func range(_ text: String) -> ClosedRange<UInt16>? {
    let numbers = text.split(whereSeparator: \.isWhitespace).map { UInt16($0) }
    guard numbers.count == 2, let first = numbers[0], let last = numbers[1], first <= last else { return nil }
    return first...last
  }
}
