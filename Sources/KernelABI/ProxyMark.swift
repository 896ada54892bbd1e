import CMartletABI

/// The mark (SO_MARK) of every socket of a node's proxy. It tells which instance's proxy it is, as several may share a network
/// namespace, where each takes only its own proxy's packets for judged.
public struct ProxyMark: Hashable, Sendable {
  public let rawValue: UInt32

  /// - Parameter instance: the number of the instance, hexadecimal; its lower 16 bits count.
  public init(instance: String = "0") {
    let number = UInt32(instance, radix: 16) ?? 0
    rawValue = UInt32(MARTLET_MARK_FROM_PROXY) | number << UInt32(MARTLET_MARK_INSTANCE.trailingZeroBitCount)
  }

  /// The part that differs between instances.
  public var instance: UInt32 { rawValue & UInt32(MARTLET_MARK_INSTANCE) }
}
