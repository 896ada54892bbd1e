#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A list that has to wait, in memory that the caller lends.
extension HeaderList {
  private static let entrySize = 9

  /// Octets that `keep` writes.
  public var keptSize: Int { 4 &+ size &- count &* (DynamicTable.overhead &- Self.entrySize) }

  /// Writes the list to memory that has room for `keptSize`.
  public func keep(in memory: UnsafeMutablePointer<UInt8>) {
    let raw = UnsafeMutableRawPointer(memory)
    raw.storeBytes(of: Int32(truncatingIfNeeded: count), as: Int32.self)
    var at = 4
    for index in 0..<count {
      let length = nameCount(index) &+ valueCount(index)
      raw.storeBytes(of: Int32(truncatingIfNeeded: nameCount(index)), toByteOffset: at, as: Int32.self)
      raw.storeBytes(of: Int32(truncatingIfNeeded: valueCount(index)), toByteOffset: at &+ 4, as: Int32.self)
      memory[at &+ 8] = self[index].indexing.rawValue
      memcpy(memory + at + Self.entrySize, namePointer(index), length)
      at &+= Self.entrySize &+ length
    }
  }

  /// Becomes the list that was kept.
  public mutating func restore(from memory: UnsafePointer<UInt8>) {
    removeAll()
    let raw = UnsafeRawPointer(memory)
    var at = 4
    for _ in 0..<raw.loadUnaligned(as: Int32.self) {
      let name = Int(raw.loadUnaligned(fromByteOffset: at, as: Int32.self))
      let value = Int(raw.loadUnaligned(fromByteOffset: at &+ 4, as: Int32.self))
      let start = raw + at + Self.entrySize
      add(
        UnsafeRawBufferPointer(start: start, count: name), UnsafeRawBufferPointer(start: start + name, count: value),
        indexing: FieldIndexing(rawValue: memory[at &+ 8]) ?? .never)
      at &+= Self.entrySize &+ name &+ value
    }
  }
}
