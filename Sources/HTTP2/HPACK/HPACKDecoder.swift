#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Decodes the header blocks that one peer sends (RFC 7541), in the order in which they come. After a fault the
/// connection is of no more use: the peers' tables may differ.
public struct HPACKDecoder {
  private var table: DynamicTable
  private let tables = HPACKTables.shared

  /// Decodes what a peer says that was told no other SETTINGS_HEADER_TABLE_SIZE.
  public init() { self.init(tableSize: DynamicTable.standardCapacity) }

  init(tableSize: Int) { table = DynamicTable(capacity: tableSize) }

  public func deallocate() { table.deallocate() }

  /// By RFC 7541's count.
  var dynamicTableSize: Int { table.size }

  /// Forgets all that was said: for another connection.
  public mutating func reset() { table.reset() }

  /// Decodes a whole header block into `list`, which is emptied first. A list that is larger than its limit is no fault:
  /// it is decoded for the table's sake, and says so.
  public mutating func decode(
    _ bytes: UnsafePointer<UInt8>, count: Int, into list: inout HeaderList
  ) -> HTTP2Fault? {
    list.removeAll()
    var at = 0
    var mayResize = true
    while at < count {
      let octet = bytes[at]
      var number = 0
      if octet & 0x80 != 0 {
        if let fault = HPACKInteger.read(bytes, count: count, at: &at, prefix: 7, &number) { return fault }
        if let fault = indexed(number, into: &list) { return fault }
      } else if octet & 0xE0 == 0x20 {
        guard mayResize else { return .lateTableSizeUpdate }
        if let fault = HPACKInteger.read(bytes, count: count, at: &at, prefix: 5, &number) { return fault }
        guard number <= table.capacity else { return .tableSizeTooLarge }
        table.setLimit(number)
        continue
      } else {
        let indexing: FieldIndexing = octet & 0x40 != 0 ? .indexed : octet & 0x10 != 0 ? .never : .plain
        let prefix = octet & 0x40 != 0 ? 6 : 4
        if let fault = HPACKInteger.read(bytes, count: count, at: &at, prefix: prefix, &number) { return fault }
        if let fault = literal(bytes, count, &at, name: number, indexing, into: &list) { return fault }
      }
      mayResize = false
    }
    return nil
  }

  private mutating func indexed(_ number: Int, into list: inout HeaderList) -> HTTP2Fault? {
    guard number > 0 else { return .invalidIndex }
    if number <= StaticTable.count {
      let field = tables.fields[number]
      copy(field.name, field.nameCount, field.value, field.valueCount, Self.first(number), into: &list)
      return nil
    }
    let index = number &- StaticTable.count &- 1
    guard index < table.count else { return .invalidIndex }
    let entry = table[index]
    copy(
      table.name(entry), Int(entry.nameCount), table.value(entry), Int(entry.valueCount), Int(entry.nameNumber),
      into: &list)
    return nil
  }

  @inline(__always)
  private func copy(
    _ name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: UnsafePointer<UInt8>, _ valueCount: Int, _ nameNumber: Int,
    into list: inout HeaderList
  ) {
    let length = nameCount &+ valueCount
    // Of a list that is too large already nothing is needed: one octet of a block must not cost a copy of thousands.
    guard !list.isTooLarge, let place = list.place(length) else { return list.skip(length) }
    memcpy(place, name, nameCount)
    memcpy(place + nameCount, value, valueCount)
    _ = list.keep(nameCount: nameCount, valueCount: valueCount, nameNumber: nameNumber, .indexed)
  }

  private mutating func literal(
    _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int, name number: Int, _ indexing: FieldIndexing,
    into list: inout HeaderList
  ) -> HTTP2Fault? {
    let place = list.octets + (list.isTooLarge ? 0 : list.used)
    let room = list.roomForField
    var nameNumber = 0
    var nameCount = 0
    var valueCount = 0
    var fits = true
    if number == 0 {
      if let fault = string(bytes, count, &at, to: place, room: room, &nameCount, &fits) { return fault }
      if fits { nameNumber = tables.number(ofName: UnsafePointer(place), nameCount) }
    } else if number <= StaticTable.count {
      let field = tables.fields[number]
      nameNumber = Self.first(number)
      nameCount = field.nameCount
      memcpy(place, field.name, nameCount)
    } else {
      let index = number &- StaticTable.count &- 1
      guard index < table.count else { return .invalidIndex }
      let entry = table[index]
      nameNumber = Int(entry.nameNumber)
      nameCount = Int(entry.nameCount)
      memcpy(place, table.name(entry), nameCount)
    }
    let valueRoom = fits ? room &- nameCount : room
    let valuePlace = fits ? place + nameCount : place
    if let fault = string(bytes, count, &at, to: valuePlace, room: valueRoom, &valueCount, &fits) { return fault }
    guard fits else {
      // The room is larger than the table, so the field is too: it empties the table.
      if indexing == .indexed { table.removeAll() }
      list.skip(nameCount &+ valueCount)
      return nil
    }
    _ = list.keep(nameCount: nameCount, valueCount: valueCount, nameNumber: nameNumber, indexing)
    if indexing == .indexed {
      table.add(
        UnsafePointer(place), nameCount, UnsafePointer(place + nameCount), valueCount, hash: 0,
        nameNumber: UInt8(truncatingIfNeeded: nameNumber))
    }
    return nil
  }

  /// Reads a string literal (RFC 7541, 5.2). `fits` becomes false when its octets do not fit; `length` then is how many it
  /// has at least.
  private func string(
    _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int, to place: UnsafeMutablePointer<UInt8>, room: Int,
    _ length: inout Int, _ fits: inout Bool
  ) -> HTTP2Fault? {
    guard at < count else { return .truncatedHeaderBlock }
    let isEncoded = bytes[at] & 0x80 != 0
    var number = 0
    if let fault = HPACKInteger.read(bytes, count: count, at: &at, prefix: 7, &number) { return fault }
    guard number <= count &- at else { return .truncatedHeaderBlock }
    let from = bytes + at
    at &+= number
    if isEncoded {
      switch Huffman.decode(from, count: number, into: place, room: room, tables) {
      case .octets(let octets): length = octets
      case .tooLong:
        length = room
        fits = false
      case .fault: return .invalidHuffman
      }
    } else {
      length = number
      if number <= room { memcpy(place, from, number) } else { fits = false }
    }
    return nil
  }

  /// The first number in the static table with the same name.
  @inline(__always)
  private static func first(_ number: Int) -> Int {
    switch number {
    case 3: 2
    case 5: 4
    case 7: 6
    case 9...14: 8
    default: number
    }
  }
}
