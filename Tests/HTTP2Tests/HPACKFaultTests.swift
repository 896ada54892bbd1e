import Testing

@testable import HTTP2

@Suite struct HPACKFaultTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var hex: String
    var fault: HTTP2Fault?
  }

  static let cases: [Case] = [
    Case(testDescription: "6.1 index 0", hex: "80", fault: .invalidIndex),
    Case(testDescription: "2.3.3 index beyond both tables", hex: "be", fault: .invalidIndex),
    Case(testDescription: "2.3.3 name beyond both tables", hex: "7e 01 61", fault: .invalidIndex),
    Case(testDescription: "5.1 integer of 2^28 + 127", hex: "ff 80 80 80 80 01", fault: .integerTooLarge),
    Case(
      testDescription: "5.1 integer with endless zeros", hex: "ff 80 80 80 80 80 80 80 80 00", fault: .integerTooLarge),
    Case(
      testDescription: "5.1 integer that overflows", hex: "ff ff ff ff ff ff ff ff ff ff 7f", fault: .integerTooLarge),
    Case(testDescription: "5.1 integer without end", hex: "ff 80", fault: .truncatedHeaderBlock),
    Case(testDescription: "5.2 string longer than the block", hex: "40 05 61", fault: .truncatedHeaderBlock),
    Case(testDescription: "5.2 value missing", hex: "40 01 61", fault: .truncatedHeaderBlock),
    Case(testDescription: "5.2 name missing", hex: "40", fault: .truncatedHeaderBlock),
    Case(testDescription: "5.2 padding of more than seven bits", hex: "00 82 1f ff 00", fault: .invalidHuffman),
    Case(testDescription: "5.2 padding of zeros", hex: "00 81 18 00", fault: .invalidHuffman),
    Case(testDescription: "5.2 end of string inside", hex: "00 84 ff ff ff ff 00", fault: .invalidHuffman),
    Case(testDescription: "5.2 nothing but padding", hex: "00 81 ff 00", fault: .invalidHuffman),
    Case(testDescription: "4.2 size update behind a field", hex: "82 20", fault: .lateTableSizeUpdate),
    Case(testDescription: "6.3 size above the limit", hex: "3f e2 1f", fault: .tableSizeTooLarge),
    Case(testDescription: "4.2 two size updates", hex: "20 3f e1 1f 82", fault: nil),
  ]

  @Test(arguments: cases) func faults(_ example: Case) {
    #expect(TestDecoder().decode(octets(example.hex)) == example.fault)
  }

  @Test func `a size update evicts`() {
    let decoder = TestDecoder()
    #expect(decoder.decode(octets("400161 0162 400163 0164")) == nil)
    #expect(decoder.decoder.dynamicTableSize == 68)
    #expect(decoder.decode(octets("3f0b be")) == nil)  // 42: room for one.
    #expect(decoder.list.all == [TextField("c", "d")])
    #expect(decoder.decode(octets("bf")) == .invalidIndex)
    #expect(decoder.decode(octets("20")) == nil)
    #expect(decoder.decode(octets("be")) == .invalidIndex)
  }

  @Test func `a field larger than the table empties it`() {
    let decoder = TestDecoder(tableSize: 64)
    #expect(decoder.decode(octets("400161 0162")) == nil)
    #expect(decoder.decode([0x40, 0x01, 0x61, 0x40] + [UInt8](repeating: 0x62, count: 64)) == nil)
    #expect(decoder.decoder.dynamicTableSize == 0)
    #expect(decoder.list.all == [TextField("a", String(repeating: "b", count: 64))])
  }

  /// One octet for each copy of a field of four thousand: the list ends at its limit and the table stays in step.
  @Test func `a bomb is counted, not kept`() {
    let decoder = TestDecoder(limit: 16384)
    let value = [UInt8](repeating: 0x61, count: 4000)
    #expect(
      decoder.decode([0x40, 0x01, 0x78, 0x7F, 0xA1, 0x1E] + value + [UInt8](repeating: 0xBE, count: 60000)) == nil)
    #expect(decoder.list.isTooLarge)
    #expect(decoder.list.size == 60001 * 4033)
    #expect(decoder.list.count <= 4)
    #expect(decoder.decode([0xBE]) == nil)
    #expect(decoder.list.all.first?.value.utf8.count == 4000)
    #expect(!decoder.list.isTooLarge)
  }

  /// Strings that are larger than all storage.
  @Test func `long literals leave the table as it should be`() {
    let decoder = TestDecoder(limit: 1000)
    #expect(decoder.decode(octets("400161 0162")) == nil)
    let long = written(8) { HPACKInteger.write(60000, prefix: 7, pattern: 0, to: &$0) }
    let body = [UInt8](repeating: 0x61, count: 60000)
    // Without indexing the table keeps what it has; with indexing it is empty.
    #expect(decoder.decode([0x00, 0x01, 0x78] + long + body) == nil)
    #expect(decoder.list.isTooLarge && decoder.list.count == 0)
    #expect(decoder.decode([0xBE]) == nil)
    #expect(decoder.decode([0x40] + long + body + [0x01, 0x61]) == nil)
    #expect(decoder.list.isTooLarge)
    #expect(decoder.decode([0xBE]) == .invalidIndex)
  }

  @Test func `too many fields are too large a list`() {
    let decoder = TestDecoder()
    #expect(decoder.decode([UInt8](repeating: 0x82, count: 256)) == nil)
    #expect(!decoder.list.isTooLarge)
    #expect(decoder.decode([UInt8](repeating: 0x82, count: 257)) == nil)
    #expect(decoder.list.isTooLarge)
  }
}
