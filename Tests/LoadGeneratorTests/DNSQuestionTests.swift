import Testing

@testable import LoadGenerator

@Suite struct DNSQuestionTests {
  @Test func `a query is what RFC 1035 says`() throws {
    let expected: [UInt8] =
      [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3] + Array("www".utf8) + [2] + Array("io".utf8) + [0, 0, 28, 0, 1]
    #expect(try DNSQuestion("www.io", .aaaa).datagram == expected)
    #expect(try DNSQuestion("www.io.", .aaaa).datagram == expected)
  }

  @Test(arguments: ["", ".", "a..b", ".a", String(repeating: "a", count: 64) + ".b"])
  func `a name with an empty or a long label is refused`(name: String) {
    #expect(throws: LoadError.self) { try DNSQuestion(name) }
  }

  @Test func `a name of 255 bytes is the longest`() throws {
    let label = String(repeating: "a", count: 63)
    let three = "\(label).\(label).\(label)."
    #expect(try DNSQuestion(three + String(repeating: "a", count: 61)).datagram.count == 12 + 255 + 4)
    #expect(throws: LoadError("name \"\(three + String(repeating: "a", count: 62))\" is longer than 255 bytes")) {
      try DNSQuestion(three + String(repeating: "a", count: 62))
    }
  }

  @Test(
    arguments: [
      ([1, 2, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0], 3),
      ([1, 2, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0], 0),
      ([1, 3, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0], nil),
      ([1, 2, 0x01, 0x80, 0, 1, 0, 0, 0, 0, 0, 0], nil),
      ([1, 2, 0x81, 0x80], nil),
    ] as [([UInt8], Int?)])
  func `an answer has the query's number`(answer: [UInt8], code: Int?) {
    #expect(answer.withUnsafeBytes { DNSQuestion.code(of: $0, to: 0x0102) } == code)
  }
}
