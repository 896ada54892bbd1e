/// Encodes the header blocks that go to one peer (RFC 7541), in the order in which they are sent.
///
/// Whether a field enters the dynamic table is its sender's choice, as far as a block that is passed on goes: who sent it
/// knows best whether it will come again, and whether it is a secret.
public struct HPACKEncoder {
  private var table: DynamicTable
  private let tables = HPACKTables.shared
  /// The smallest and the last size that the peer has to be told at the beginning of the next block.
  private var smallest: Int?
  private var isResized = false

  /// The table never holds more than the standard size, whatever the peer allows.
  public init() { self.init(tableSize: DynamicTable.standardCapacity) }

  init(tableSize: Int) { table = DynamicTable(capacity: tableSize) }

  public func deallocate() { table.deallocate() }

  /// By RFC 7541's count.
  var dynamicTableSize: Int { table.size }

  /// For another connection.
  public mutating func reset() {
    table.reset()
    smallest = nil
    isResized = false
  }

  /// Takes the peer's SETTINGS_HEADER_TABLE_SIZE.
  public mutating func setPeerLimit(_ size: Int) {
    let limit = min(size, table.capacity)
    guard limit != table.limit else { return }
    table.setLimit(limit)
    smallest = min(smallest ?? limit, limit)
    isResized = true
  }

  /// Most octets that a list takes: a field's 32 octets of overhead are more than its literal's.
  public static func bound(_ list: HeaderList) -> Int { list.size &+ 16 }

  /// Begins a block.
  public mutating func begin(_ writer: inout OctetWriter) {
    guard isResized else { return }
    if let smallest, smallest < table.limit { HPACKInteger.write(smallest, prefix: 5, pattern: 0x20, to: &writer) }
    HPACKInteger.write(table.limit, prefix: 5, pattern: 0x20, to: &writer)
    smallest = nil
    isResized = false
  }

  /// Writes a whole list as a block.
  public mutating func encode(_ list: HeaderList, to writer: inout OctetWriter) {
    begin(&writer)
    for index in 0..<list.count {
      let field = list[index]
      encode(
        list.namePointer(index), list.nameCount(index), list.valuePointer(index), list.valueCount(index),
        nameNumber: Int(field.nameNumber), field.indexing, to: &writer)
    }
  }

  private mutating func encode(
    _ name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: UnsafePointer<UInt8>, _ valueCount: Int, nameNumber: Int,
    _ indexing: FieldIndexing, to writer: inout OctetWriter
  ) {
    if indexing == .never { return literal(name, nameCount, value, valueCount, nameNumber, 0x10, 4, &writer) }
    if nameNumber != 0, let number = staticNumber(nameNumber, value, valueCount) {
      return HPACKInteger.write(number, prefix: 7, pattern: 0x80, to: &writer)
    }
    guard indexing == .indexed, nameCount &+ valueCount &+ DynamicTable.overhead <= table.limit else {
      return literal(name, nameCount, value, valueCount, nameNumber, 0, 4, &writer)
    }
    let hash = FieldHash.of(value, valueCount, seed: UInt64(FieldHash.of(name, nameCount)))
    if let index = table.index(of: name, nameCount, value, valueCount, hash: hash) {
      return HPACKInteger.write(StaticTable.count &+ 1 &+ index, prefix: 7, pattern: 0x80, to: &writer)
    }
    literal(name, nameCount, value, valueCount, nameNumber, 0x40, 6, &writer)
    table.add(
      name, nameCount, value, valueCount, hash: hash, nameNumber: UInt8(truncatingIfNeeded: nameNumber))
  }

  /// The number of the static field with this value, of those whose name begins at `first`.
  @inline(__always)
  private func staticNumber(_ first: Int, _ value: UnsafePointer<UInt8>, _ count: Int) -> Int? {
    let last: Int
    switch first {
    case 2, 4, 6: last = first &+ 1
    case 8: last = 14
    default: last = first
    }
    for number in first...last
    where tables.fields[number].valueCount == count && Octet.isEqual(tables.fields[number].value, value, count) {
      return number
    }
    return nil
  }

  private func literal(
    _ name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: UnsafePointer<UInt8>, _ valueCount: Int, _ nameNumber: Int,
    _ pattern: UInt8, _ prefix: Int, _ writer: inout OctetWriter
  ) {
    if nameNumber != 0 {
      HPACKInteger.write(nameNumber, prefix: prefix, pattern: pattern, to: &writer)
    } else if let index = table.index(ofName: name, nameCount) {
      HPACKInteger.write(StaticTable.count &+ 1 &+ index, prefix: prefix, pattern: pattern, to: &writer)
    } else {
      writer.put(pattern)
      string(name, nameCount, &writer)
    }
    string(value, valueCount, &writer)
  }

  private func string(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ writer: inout OctetWriter) {
    let encoded = Huffman.length(bytes, count: count, tables)
    guard encoded < count else {
      HPACKInteger.write(count, prefix: 7, pattern: 0, to: &writer)
      return writer.put(bytes, count)
    }
    HPACKInteger.write(encoded, prefix: 7, pattern: 0x80, to: &writer)
    guard let place = writer.reserve(encoded) else { return }
    Huffman.encode(bytes, count: count, into: place, tables)
  }
}
