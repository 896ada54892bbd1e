#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The fields that a connection has named before (RFC 7541, 2.3.2), the newest first, in memory that is taken once.
///
/// Octets stand one after the other in a buffer of twice the table's size; when its end is reached, those that live move to
/// its front. So each field is in one piece, and an octet is moved once in a table's length at most.
struct DynamicTable {
  struct Entry {
    var start: Int32
    var nameCount: Int32
    var valueCount: Int32
    /// Of name and value, for the encoder.
    var hash: UInt32
    /// Number in the static table of the first field of this name; 0 for none.
    var nameNumber: UInt8
  }

  /// What a field counts for beyond its octets (RFC 7541, 4.1).
  static let overhead = 32

  private let entries: UnsafeMutablePointer<Entry>
  private let octets: UnsafeMutablePointer<UInt8>
  private let mask: Int
  let capacity: Int
  /// The size that may not be exceeded now; at most `capacity`.
  private(set) var limit: Int
  private(set) var size = 0
  private(set) var count = 0
  /// How many were ever added: the newest stands at the place before.
  private var added = 0
  private var end = 0

  /// What holds where nothing else was said (RFC 9113, 6.5.2).
  static let standardCapacity = 4096

  /// - Parameter capacity: the largest size, by RFC 7541's count, that the table will ever be given.
  init(capacity: Int) {
    self.capacity = capacity
    limit = capacity
    var places = 1
    while places < capacity / Self.overhead { places *= 2 }
    mask = places - 1
    entries = .allocate(capacity: places)
    octets = .allocate(capacity: max(1, 2 * capacity))
  }

  func deallocate() {
    entries.deallocate()
    octets.deallocate()
  }

  /// Entry `index`, 0 being the newest.
  @inline(__always)
  subscript(index: Int) -> Entry { entries[(added &- 1 &- index) & mask] }

  @inline(__always)
  func name(_ entry: Entry) -> UnsafePointer<UInt8> { UnsafePointer(octets + Int(entry.start)) }

  @inline(__always)
  func value(_ entry: Entry) -> UnsafePointer<UInt8> { UnsafePointer(octets + Int(entry.start &+ entry.nameCount)) }

  mutating func setLimit(_ new: Int) {
    limit = min(new, capacity)
    while size > limit { evict() }
  }

  /// Adds a field, for which older ones go; one that is larger than the table empties it (RFC 7541, 4.4). The octets may
  /// not be the table's own.
  mutating func add(
    _ name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: UnsafePointer<UInt8>, _ valueCount: Int, hash: UInt32,
    nameNumber: UInt8
  ) {
    let length = nameCount &+ valueCount
    guard length &+ Self.overhead <= limit else { return removeAll() }
    while size &+ length &+ Self.overhead > limit { evict() }
    if end &+ length > 2 &* capacity { moveToFront() }
    memcpy(octets + end, name, nameCount)
    memcpy(octets + end + nameCount, value, valueCount)
    entries[added & mask] = Entry(
      start: Int32(truncatingIfNeeded: end), nameCount: Int32(truncatingIfNeeded: nameCount),
      valueCount: Int32(truncatingIfNeeded: valueCount), hash: hash, nameNumber: nameNumber)
    added &+= 1
    count &+= 1
    end &+= length
    size &+= length &+ Self.overhead
  }

  /// For another connection: nothing was said yet.
  mutating func reset() {
    removeAll()
    setLimit(capacity)
  }

  mutating func removeAll() {
    count = 0
    size = 0
    end = 0
  }

  /// The newest field with this name and value; nil for none.
  @inline(__always)
  func index(
    of name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: UnsafePointer<UInt8>, _ valueCount: Int, hash: UInt32
  ) -> Int? {
    for index in 0..<count {
      let entry = self[index]
      guard entry.hash == hash, entry.nameCount == nameCount, entry.valueCount == valueCount,
        Octet.isEqual(self.name(entry), name, nameCount), Octet.isEqual(self.value(entry), value, valueCount)
      else { continue }
      return index
    }
    return nil
  }

  /// The newest field with this name; nil for none.
  func index(ofName name: UnsafePointer<UInt8>, _ nameCount: Int) -> Int? {
    for index in 0..<count {
      let entry = self[index]
      if entry.nameCount == nameCount, Octet.isEqual(self.name(entry), name, nameCount) { return index }
    }
    return nil
  }

  private mutating func evict() {
    let oldest = self[count &- 1]
    size &-= Int(oldest.nameCount &+ oldest.valueCount) &+ Self.overhead
    count &-= 1
    if count == 0 { end = 0 }
  }

  private mutating func moveToFront() {
    guard count > 0 else {
      end = 0
      return
    }
    let first = self[count &- 1].start
    memmove(octets, octets + Int(first), end &- Int(first))
    for index in 0..<count { entries[(added &- 1 &- index) & mask].start &-= first }
    end &-= Int(first)
  }
}
