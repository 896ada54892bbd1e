#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// How a field stood in its header block, and is to stand in the next one (RFC 7541, 6.2).
public enum FieldIndexing: UInt8, Sendable {
  /// It is, or may become, an entry of the dynamic table.
  case indexed
  /// A literal that is not worth an entry.
  case plain
  /// A literal that nobody on the way may ever index.
  case never
}

/// The decoded fields of one header section, in storage that its owner takes once.
///
/// What exceeds the limit is counted and not kept: the memory is the same whatever a peer sends.
public struct HeaderList {
  public struct Field {
    var start: Int32
    var nameCount: Int32
    var valueCount: Int32
    /// Number in the static table of the first field of this name; 0 for none.
    public var nameNumber: UInt8
    public var indexing: FieldIndexing
  }

  public static let fieldCapacity = 256
  /// Room beyond the limit: a string that does not fit is larger than any dynamic table.
  static let slack = 16384

  let octets: UnsafeMutablePointer<UInt8>
  private let fields: UnsafeMutablePointer<Field>
  let capacity: Int
  /// The most that `size` may be.
  public let limit: Int
  public private(set) var count = 0
  private(set) var used = 0
  /// As RFC 9113, 6.5.2 counts: octets of names and values, and 32 for each field.
  public private(set) var size = 0
  /// Fields were left out.
  public private(set) var isTooLarge = false

  public init(limit: Int) {
    self.limit = limit
    capacity = limit + Self.slack
    octets = .allocate(capacity: capacity)
    fields = .allocate(capacity: Self.fieldCapacity)
  }

  public func deallocate() {
    octets.deallocate()
    fields.deallocate()
  }

  @inline(__always)
  public subscript(index: Int) -> Field { fields[index] }

  @inline(__always)
  public func name(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: octets + Int(fields[index].start), count: Int(fields[index].nameCount))
  }

  @inline(__always)
  public func value(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: octets + Int(fields[index].start &+ fields[index].nameCount), count: Int(fields[index].valueCount))
  }

  @inline(__always)
  func namePointer(_ index: Int) -> UnsafePointer<UInt8> { UnsafePointer(octets + Int(fields[index].start)) }

  @inline(__always)
  func valuePointer(_ index: Int) -> UnsafePointer<UInt8> {
    UnsafePointer(octets + Int(fields[index].start &+ fields[index].nameCount))
  }

  @inline(__always)
  func nameCount(_ index: Int) -> Int { Int(fields[index].nameCount) }

  @inline(__always)
  func valueCount(_ index: Int) -> Int { Int(fields[index].valueCount) }

  public mutating func removeAll() {
    count = 0
    used = 0
    size = 0
    isTooLarge = false
  }

  /// Adds a copy of a field.
  ///
  /// - Parameter lowercasing: The name may be in any case, as in HTTP/1.
  public mutating func add(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, indexing: FieldIndexing = .plain,
    lowercasing: Bool = false
  ) {
    guard let at = place(name.count &+ value.count) else { return }
    if lowercasing {
      for index in 0..<name.count { at[index] = Octet.lowercase(name[index]) }
    } else if let from = name.baseAddress {
      memcpy(at, from, name.count)
    }
    if let from = value.baseAddress { memcpy(at + name.count, from, value.count) }
    _ = keep(
      nameCount: name.count, valueCount: value.count,
      nameNumber: HPACKTables.shared.number(ofName: UnsafePointer(at), name.count), indexing)
  }

  public mutating func add(_ name: StaticString, _ value: StaticString) {
    add(
      UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount),
      UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
  }

  /// Takes out the fields for which `isUnwanted` says so.
  public mutating func removeAll(where isUnwanted: (UnsafeRawBufferPointer) -> Bool) {
    var kept = 0
    for index in 0..<count {
      if isUnwanted(name(index)) {
        size &-= nameCount(index) &+ valueCount(index) &+ DynamicTable.overhead
      } else {
        fields[kept] = fields[index]
        kept &+= 1
      }
    }
    count = kept
  }

  /// Where the next field's octets go, when `length` of them fit. Once fields are left out, each takes the place of all.
  @inline(__always)
  mutating func place(_ length: Int) -> UnsafeMutablePointer<UInt8>? {
    let start = isTooLarge ? 0 : used
    guard length <= capacity &- start else {
      isTooLarge = true
      return nil
    }
    return octets + start
  }

  @inline(__always)
  var roomForField: Int { capacity &- (isTooLarge ? 0 : used) }

  /// Takes the field whose octets stand where `place` said.
  /// - Returns: whether it is in the list.
  @inline(__always)
  mutating func keep(nameCount: Int, valueCount: Int, nameNumber: Int, _ indexing: FieldIndexing) -> Bool {
    let length = nameCount &+ valueCount
    size &+= length &+ DynamicTable.overhead
    guard !isTooLarge, size <= limit, count < Self.fieldCapacity else {
      isTooLarge = true
      return false
    }
    fields[count] = Field(
      start: Int32(truncatingIfNeeded: used), nameCount: Int32(truncatingIfNeeded: nameCount),
      valueCount: Int32(truncatingIfNeeded: valueCount), nameNumber: UInt8(truncatingIfNeeded: nameNumber),
      indexing: indexing)
    used &+= length
    count &+= 1
    return true
  }

  /// Counts a field that was not even stored.
  mutating func skip(_ length: Int) {
    size &+= length &+ DynamicTable.overhead
    isTooLarge = true
  }
}
