import TestSupport
import Testing

@testable import HTTP2

@Suite struct HPACKPropertyTests {
  private static func text(_ random: inout SeededGenerator, _ longest: Int, anyOctet: Bool) -> String {
    let count = Int.random(in: 0...longest, using: &random)
    let scalars = (0..<count).map { _ in
      Unicode.Scalar(
        anyOctet ? UInt8.random(in: 0...127, using: &random) : UInt8.random(in: 0x61...0x7A, using: &random))
    }
    return String(String.UnicodeScalarView(scalars))
  }

  private static func field(_ random: inout SeededGenerator) -> TextField {
    let names = StaticTable.fields.map { "\($0.name)" } + ["x-a", "x-b", "grpc-timeout", "traceparent"]
    let name = random.chance(80) ? random.pick(names) : text(&random, random.chance(5) ? 3000 : 20, anyOctet: true)
    let values = ["", "GET", "/", "200", "gzip, deflate", "a", "some longer value that comes again"]
    let value =
      random.chance(60) ? random.pick(values) : text(&random, random.chance(5) ? 6000 : 60, anyOctet: random.chance(50))
    return TextField(name, value, random.pick([.indexed, .indexed, .plain, .never]))
  }

  @Test(arguments: 0..<40) func `what is encoded is decoded, whatever the tables went through`(_ seed: Int) {
    var random = SeededGenerator(seed: seed)
    let encoder = TestEncoder()
    let decoder = TestDecoder(limit: 1 << 20)
    for _ in 0..<100 {
      if random.chance(10) { encoder.encoder.setPeerLimit(random.pick([0, 31, 64, 200, 1000, 4096, 100_000])) }
      let fields = (0..<Int.random(in: 0...20, using: &random)).map { _ in Self.field(&random) }
      #expect(decoder.decode(encoder.encode(fields)) == nil)
      let all = decoder.list.all
      #expect(all.map(\.name) == fields.map(\.name) && all.map(\.value) == fields.map(\.value))
      // A secret is one at every hop.
      #expect(zip(all, fields).allSatisfy { ($0.indexing == .never) == ($1.indexing == .never) })
      #expect(decoder.decoder.dynamicTableSize == encoder.encoder.dynamicTableSize)
    }
  }

  @Test func `every octet and pair of octets survives the Huffman code`() {
    let tables = HPACKTables.shared
    var output = [UInt8](repeating: 0, count: 16)
    var encoded = [UInt8](repeating: 0, count: 16)
    for one in 0..<256 {
      for other in 0..<256 {
        let text = [UInt8(one), UInt8(other)]
        let length = Huffman.length(text, count: 2, tables)
        Huffman.encode(text, count: 2, into: &encoded, tables)
        let outcome = Huffman.decode(encoded, count: length, into: &output, room: 16, tables)
        if outcome != .octets(2) || output[0] != text[0] || output[1] != text[1] { Issue.record("\(text)") }
      }
    }
  }

  /// Garbage and truncated blocks: a fault or a list, and no octet read or written beyond the memory.
  @Test(arguments: 0..<20) func `garbage ends in a fault or a list`(_ seed: Int) {
    var random = SeededGenerator(seed: seed)
    var decoder = TestDecoder(limit: 2000)
    let encoder = TestEncoder()
    for _ in 0..<2000 {
      var block = encoder.encode((0..<Int.random(in: 0...6, using: &random)).map { _ in Self.field(&random) })
      for _ in 0..<Int.random(in: 0...4, using: &random) where !block.isEmpty {
        block[Int.random(in: 0..<block.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      if random.chance(30) { block = Array(block.prefix(Int.random(in: 0...block.count, using: &random))) }
      if random.chance(20) {
        block = (0..<Int.random(in: 0...100, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      }
      let fault = decoder.decode(block)
      #expect(fault == nil || fault?.code == .compressionError)
      #expect(decoder.list.isTooLarge || decoder.list.size <= 2000)
      #expect(decoder.decoder.dynamicTableSize <= 4096)
      if fault != nil { decoder = TestDecoder(limit: 2000) }
    }
  }
}
