import TestSupport
import Testing

@testable import Proxy

/// Messages that are changed at random: nothing may crash, hang or read beyond the end, and what is taken for a message
/// must say the same when it is read again.
@Suite struct DNSFuzzTests {
  static let seeds: [[UInt8]] = {
    var plain = DNSBuilder(query: "www.example.com")
    plain.option()
    var chain = DNSBuilder(query: "a.example")
    chain.becomeAnswer()
    chain.answer(DNSBuilder.questionPointer, type: DNSType.cname, DNSBuilder.name("b.example"))
    chain.answer(DNSBuilder.name("b.example"), "192.0.2.1")
    chain.answer([1, 99] + DNSBuilder.questionPointer, "2001:db8::1")
    chain.answer(DNSBuilder.questionPointer, type: 65, [0, 1, 0, 0, 4, 0, 4, 192, 0, 2, 9])
    chain.option()
    let label = [UInt8(63)] + [UInt8](repeating: 97, count: 63)
    let long = DNSBuilder.words(1, 0x0100, 1, 0, 0, 0) + label + label + label + [0] + DNSBuilder.words(1, 1)
    return [plain.bytes, chain.bytes, long, DNSBuilder(query: "").bytes]
  }()

  @Test(arguments: 0..<8) func survives(_ seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    let question = DNSBuilder(query: "a.example").question
    var taken = 0
    for _ in 0..<20_000 {
      var bytes = Self.seeds.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 1...4, using: &random) { Self.mutate(&bytes, &random) }
      bytes.withUnsafeBytes { raw in
        if let query = try? DNSQuery(raw) {
          taken += 1
          #expect(query.questionEnd <= bytes.count && query.name.utf8.count <= 4 * 255)
          let reply = DNSReply.make(5, to: query, raw)
          #expect((try? DNSAnswer(reply, question: Array(bytes[12..<query.questionEnd]), name: query.name)) != nil)
        }
        if let answer = try? DNSAnswer(raw, question: question, name: "a.example") {
          taken += 1
          #expect(answer.addresses.isEmpty == (answer.timeToLive == nil))
        }
      }
    }
    #expect(taken > 100, "the changes must leave some messages readable")
  }

  private static func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
    guard !bytes.isEmpty else { return bytes.append(0) }
    let at = Int.random(in: 0..<bytes.count, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
    case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...4, using: &random)))
    case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
    case 4: bytes[at] = [0, 0xC0, 0xFF, 12, 63, 64].randomElement(using: &random) ?? 0
    default: bytes.append(contentsOf: bytes[at...].prefix(16))
    }
  }
}
