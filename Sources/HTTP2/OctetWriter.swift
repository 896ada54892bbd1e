#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Writes octets into memory of a fixed size; what does not fit is left out and told.
public struct OctetWriter {
  public let base: UnsafeMutablePointer<UInt8>
  public let capacity: Int
  public private(set) var count: Int
  public private(set) var hasOverflown = false

  /// - Parameter count: octets that stand there already.
  public init(_ base: UnsafeMutablePointer<UInt8>, capacity: Int, count: Int = 0) {
    self.base = base
    self.capacity = capacity
    self.count = count
  }

  public var room: Int { capacity &- count }

  @inline(__always)
  mutating func put(_ octet: UInt8) {
    guard count < capacity else {
      hasOverflown = true
      return
    }
    base[count] = octet
    count &+= 1
  }

  @inline(__always)
  mutating func put(_ bytes: UnsafePointer<UInt8>, _ length: Int) {
    guard length <= room else {
      hasOverflown = true
      return
    }
    memcpy(base + count, bytes, length)
    count &+= length
  }

  @inline(__always)
  mutating func put32(_ number: UInt32) {
    guard room >= 4 else {
      hasOverflown = true
      return
    }
    UnsafeMutableRawPointer(base + count).storeBytes(of: number.bigEndian, as: UInt32.self)
    count &+= 4
  }

  /// A place of `length` octets that the caller fills; nil when there is no room.
  @inline(__always)
  mutating func reserve(_ length: Int) -> UnsafeMutablePointer<UInt8>? {
    guard length <= room else {
      hasOverflown = true
      return nil
    }
    defer { count &+= length }
    return base + count
  }
}
