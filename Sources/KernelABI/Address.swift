import Addressing
import CMartletABI

extension martlet_addr {
  public init(_ address: IPAddress) { self.init(hi: address.high.bigEndian, lo: address.low.bigEndian) }
}

extension IPAddress {
  public init(_ address: martlet_addr) {
    self.init(high: UInt64(bigEndian: address.hi), low: UInt64(bigEndian: address.lo))
  }
}

extension martlet_ipcache_key {
  public init(_ block: CIDR) {
    func word(_ half: UInt64, _ shift: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: half >> shift).bigEndian }
    let address = block.address
    self.init(
      prefix_length: UInt32(block.mappedLength),
      address: (word(address.high, 32), word(address.high, 0), word(address.low, 32), word(address.low, 0)))
  }
}

extension CIDR {
  /// nil: the key is no block of addresses, as its prefix is longer than one.
  public init?(_ key: martlet_ipcache_key) {
    func half(_ high: UInt32, _ low: UInt32) -> UInt64 {
      UInt64(UInt32(bigEndian: high)) << 32 | UInt64(UInt32(bigEndian: low))
    }
    let address = IPAddress(
      high: half(key.address.0, key.address.1), low: half(key.address.2, key.address.3))
    let length = Int(key.prefix_length)
    self.init(address, length: address.isIPv4 && length >= 96 ? length - 96 : length)
  }
}
