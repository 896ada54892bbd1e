#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The field lines of a head or a trailer section that was found good before, one after the other.
///
/// Whatever stands there, no octet beyond the section is read: what is no field line ends it.
struct GoodLines {
  private let bytes: UnsafePointer<UInt8>
  private let end: Int
  private var at: Int

  /// - Parameters:
  ///   - start: Where the first field line begins.
  ///   - length: Octets of the whole, with the empty line that ends it.
  init(_ bytes: UnsafePointer<UInt8>, from start: Int, length: Int) {
    self.bytes = bytes
    at = start
    end = length
  }

  mutating func next() -> FieldLine? {
    guard at < end, bytes[at] != Octet.carriageReturn else { return nil }
    guard let colon = Self.find(Octet.colon, bytes, at, end), let feed = Self.find(Octet.lineFeed, bytes, colon, end)
    else { return nil }
    let name = ByteRange(start: at, count: colon &- at)
    var first = colon &+ 1
    var last = feed
    if bytes[last &- 1] == Octet.carriageReturn { last &-= 1 }
    while first < last, Octet.isSpace(bytes[first]) { first &+= 1 }
    while last > first, Octet.isSpace(bytes[last &- 1]) { last &-= 1 }
    at = feed &+ 1
    return FieldLine(name: name, value: ByteRange(start: first, count: last &- first))
  }

  /// Octets from `start` up to and with the empty line; nil when it has not come.
  static func length(_ bytes: UnsafePointer<UInt8>, from start: Int = 0, count: Int) -> Int? {
    var at = start
    while at < count {
      guard let feed = find(Octet.lineFeed, bytes, at, count) else { return nil }
      if feed &- at <= 1 { return feed &+ 1 }
      at = feed &+ 1
    }
    return nil
  }

  /// Where an octet first stands from `start` on.
  @inline(__always)
  static func find(_ octet: UInt8, _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int? {
    guard start < end, let found = memchr(bytes + start, Int32(octet), end &- start) else { return nil }
    return UnsafeRawPointer(found) - UnsafeRawPointer(bytes)
  }
}
