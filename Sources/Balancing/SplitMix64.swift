/// Random numbers that are good enough to balance by (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
/// OOPSLA 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
  /// 2^64 by the golden ratio: what the state grows by.
  public static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= SplitMix64.increment
    return SplitMix64.mix(state)
  }

  /// Spreads a number over 64 bits: a bijection.
  @inlinable
  public static func mix(_ number: UInt64) -> UInt64 {
    var value = number
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
