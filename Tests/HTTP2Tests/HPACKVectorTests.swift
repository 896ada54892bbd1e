import Testing

@testable import HTTP2

/// RFC 7541, appendix C.
@Suite struct HPACKVectorTests {
  struct Block: Sendable {
    var hex: String
    var fields: [TextField]
    /// Of the dynamic table afterwards.
    var size: Int
  }

  struct Connection: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var tableSize = 4096
    var blocks: [Block]
  }

  private static let get = [
    TextField(":method", "GET"), TextField(":scheme", "http"), TextField(":path", "/"),
    TextField(":authority", "www.example.com"),
  ]
  private static let secure = [
    TextField(":method", "GET"), TextField(":scheme", "https"), TextField(":path", "/index.html"),
    TextField(":authority", "www.example.com"), TextField("custom-key", "custom-value"),
  ]
  private static func response(_ status: String, _ second: String, _ more: [TextField] = []) -> [TextField] {
    [
      TextField(":status", status), TextField("cache-control", "private"),
      TextField("date", "Mon, 21 Oct 2013 20:13:\(second) GMT"), TextField("location", "https://www.example.com"),
    ]
  }
  private static let third = [
    TextField(":status", "200"), TextField("cache-control", "private"),
    TextField("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
    TextField("location", "https://www.example.com"), TextField("content-encoding", "gzip"),
    TextField("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
  ]

  static let connections: [Connection] = [
    Connection(
      testDescription: "C.2.1 literal with indexing",
      blocks: [
        Block(
          hex: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
          fields: [TextField("custom-key", "custom-header")], size: 55)
      ]),
    Connection(
      testDescription: "C.2.2 literal without indexing",
      blocks: [
        Block(hex: "040c 2f73 616d 706c 652f 7061 7468", fields: [TextField(":path", "/sample/path", .plain)], size: 0)
      ]),
    Connection(
      testDescription: "C.2.3 literal never indexed",
      blocks: [
        Block(
          hex: "1008 7061 7373 776f 7264 0673 6563 7265 74", fields: [TextField("password", "secret", .never)], size: 0)
      ]),
    Connection(
      testDescription: "C.2.4 indexed", blocks: [Block(hex: "82", fields: [TextField(":method", "GET")], size: 0)]),
    Connection(
      testDescription: "C.3 requests without Huffman code",
      blocks: [
        Block(hex: "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", fields: get, size: 57),
        Block(
          hex: "8286 84be 5808 6e6f 2d63 6163 6865", fields: get + [TextField("cache-control", "no-cache")], size: 110),
        Block(
          hex: "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", fields: secure, size: 164),
      ]),
    Connection(
      testDescription: "C.4 requests with Huffman code",
      blocks: [
        Block(hex: "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", fields: get, size: 57),
        Block(hex: "8286 84be 5886 a8eb 1064 9cbf", fields: get + [TextField("cache-control", "no-cache")], size: 110),
        Block(hex: "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", fields: secure, size: 164),
      ]),
    Connection(
      testDescription: "C.5 responses without Huffman code, with eviction", tableSize: 256,
      blocks: [
        Block(
          hex: """
            4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d
            546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d
            """, fields: response("302", "21"), size: 222),
        Block(hex: "4803 3330 37c1 c0bf", fields: response("307", "21"), size: 222),
        Block(
          hex: """
            88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
            6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
            2076 6572 7369 6f6e 3d31
            """, fields: third, size: 215),
      ]),
    Connection(
      testDescription: "C.6 responses with Huffman code, with eviction", tableSize: 256,
      blocks: [
        Block(
          hex: """
            4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7
            8f0b 97c8 e9ae 82ae 43d3
            """, fields: response("302", "21"), size: 222),
        Block(hex: "4883 640e ffc1 c0bf", fields: response("307", "21"), size: 222),
        Block(
          hex: """
            88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
            dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07
            """, fields: third, size: 215),
      ]),
  ]

  @Test(arguments: connections) func `blocks are decoded`(_ connection: Connection) {
    let decoder = TestDecoder(tableSize: connection.tableSize)
    for block in connection.blocks {
      #expect(decoder.decode(octets(block.hex)) == nil)
      #expect(decoder.list.all == block.fields)
      #expect(decoder.decoder.dynamicTableSize == block.size)
    }
  }

  /// In C.6 a string is Huffman encoded that is no shorter for it, which this encoder spares both ends.
  @Test func `C.4 blocks are encoded the same way`() throws {
    let encoder = TestEncoder()
    let connection = try #require(Self.connections.first { $0.testDescription.hasPrefix("C.4") })
    for block in connection.blocks { #expect(encoder.encode(block.fields) == octets(block.hex)) }
  }

  static let integers: [(String, Int, Int)] = [("0a", 5, 10), ("1f9a0a", 5, 1337), ("2a", 8, 42)]

  @Test(arguments: integers) func `C.1 integers`(_ hex: String, _ prefix: Int, _ expected: Int) {
    let bytes = octets(hex)
    var at = 0
    var number = 0
    #expect(HPACKInteger.read(bytes, count: bytes.count, at: &at, prefix: prefix, &number) == nil)
    #expect(number == expected && at == bytes.count)
    #expect(written(8) { HPACKInteger.write(expected, prefix: prefix, pattern: 0, to: &$0) } == bytes)
  }
}
