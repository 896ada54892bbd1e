/// What all encoders and decoders look up: made once, never changed, never freed.
struct HPACKTables {
  struct StaticField {
    var name: UnsafePointer<UInt8>
    var nameCount: Int
    var value: UnsafePointer<UInt8>
    var valueCount: Int
  }

  /// Numbers 1 to 61; what stands at 0 is not used.
  let fields: UnsafePointer<StaticField>
  /// By hash: the first number of a name, 0 for none; the next place is asked where names meet.
  let names: UnsafePointer<UInt8>
  /// Each octet's code, at the low end.
  let codes: UnsafePointer<UInt32>
  let lengths: UnsafePointer<UInt8>
  /// By the next ten bits: symbol and, in the high octet, length of the code they begin with; 0 where it is longer.
  let short: UnsafePointer<UInt16>
  /// By length: the first code, how many there are, and where their symbols begin in `symbols`.
  let firstCodes: UnsafePointer<UInt32>
  let counts: UnsafePointer<UInt32>
  let firstSymbols: UnsafePointer<UInt32>
  let symbols: UnsafePointer<UInt16>

  static let shortBits = 10
  private static let nameMask = 255

  // Not Sendable only for its pointers, behind which nothing is written any more.
  nonisolated(unsafe) static let shared = HPACKTables()

  private init() {
    let fields = UnsafeMutablePointer<StaticField>.allocate(capacity: StaticTable.count + 1)
    let names = Self.zeroed(UInt8.self, Self.nameMask + 1)
    for (index, field) in StaticTable.fields.enumerated().reversed() {
      let entry = StaticField(
        name: field.name.utf8Start, nameCount: field.name.utf8CodeUnitCount, value: field.value.utf8Start,
        valueCount: field.value.utf8CodeUnitCount)
      (fields + index + 1).initialize(to: entry)
      if index == 0 { fields.initialize(to: entry) }
      // Fields of one name stand together, so the first of them must win: hence from the end.
      var place = Int(FieldHash.of(entry.name, entry.nameCount)) & Self.nameMask
      while names[place] != 0, !Self.isSame(fields[Int(names[place])], entry) { place = (place + 1) & Self.nameMask }
      names[place] = UInt8(index + 1)
    }
    self.fields = UnsafePointer(fields)
    self.names = UnsafePointer(names)

    let lengths = Self.zeroed(UInt8.self, 257)
    let codes = Self.zeroed(UInt32.self, 257)
    let short = Self.zeroed(UInt16.self, 1 << Self.shortBits)
    let firstCodes = Self.zeroed(UInt32.self, HuffmanCode.longest + 1)
    let counts = Self.zeroed(UInt32.self, HuffmanCode.longest + 1)
    let firstSymbols = Self.zeroed(UInt32.self, HuffmanCode.longest + 1)
    let symbols = Self.zeroed(UInt16.self, 257)
    for (symbol, length) in HuffmanCode.lengths.enumerated() { lengths[symbol] = length }
    var code: UInt32 = 0
    var placed: UInt32 = 0
    for length in 1...HuffmanCode.longest {
      code <<= 1
      firstCodes[length] = code
      firstSymbols[length] = placed
      for symbol in 0...256 where Int(lengths[symbol]) == length {
        symbols[Int(placed)] = UInt16(symbol)
        codes[symbol] = code
        if length <= Self.shortBits {
          let free = Self.shortBits - length
          for rest in 0..<(1 << free) { short[Int(code) << free | rest] = UInt16(length) << 8 | UInt16(symbol) }
        }
        counts[length] += 1
        placed += 1
        code += 1
      }
    }
    self.lengths = UnsafePointer(lengths)
    self.codes = UnsafePointer(codes)
    self.short = UnsafePointer(short)
    self.firstCodes = UnsafePointer(firstCodes)
    self.counts = UnsafePointer(counts)
    self.firstSymbols = UnsafePointer(firstSymbols)
    self.symbols = UnsafePointer(symbols)
  }

  /// The first number in the static table that has a name; 0 for none.
  @inline(__always)
  func number(ofName name: UnsafePointer<UInt8>, _ count: Int) -> Int {
    var place = Int(FieldHash.of(name, count)) & Self.nameMask
    while true {
      let number = Int(names[place])
      if number == 0 { return 0 }
      if fields[number].nameCount == count, Octet.isEqual(fields[number].name, name, count) { return number }
      place = (place &+ 1) & Self.nameMask
    }
  }

  private static func isSame(_ one: StaticField, _ other: StaticField) -> Bool {
    one.nameCount == other.nameCount && Octet.isEqual(one.name, other.name, one.nameCount)
  }

  private static func zeroed<Number: FixedWidthInteger>(
    _ type: Number.Type, _ count: Int
  ) -> UnsafeMutablePointer<Number> {
    let memory = UnsafeMutablePointer<Number>.allocate(capacity: count)
    memory.initialize(repeating: 0, count: count)
    return memory
  }
}

enum FieldHash {
  /// Spreads `count` octets over 32 bits, eight octets at a time.
  @inline(__always)
  static func of(_ bytes: UnsafePointer<UInt8>, _ count: Int, seed: UInt64 = 0) -> UInt32 {
    var hash = seed ^ UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15
    let raw = UnsafeRawPointer(bytes)
    var at = 0
    while at &+ 8 <= count {
      hash = (hash ^ raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)) &* 0xFF51_AFD7_ED55_8CCD
      hash ^= hash >> 32
      at &+= 8
    }
    var rest: UInt64 = 0
    while at < count {
      rest = rest << 8 | UInt64(bytes[at])
      at &+= 1
    }
    hash = (hash ^ rest) &* 0xC4CE_B9FE_1A85_EC53
    return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
  }
}
