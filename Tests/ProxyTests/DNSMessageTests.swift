import Addressing
import Testing

@testable import Proxy

@Suite struct DNSMessageTests {
  private func query(_ bytes: [UInt8]) throws -> DNSQuery { try bytes.withUnsafeBytes { try DNSQuery($0) } }

  private func fault(_ bytes: [UInt8]) -> DNSFault? {
    do {
      _ = try query(bytes)
      return nil
    } catch { return error as? DNSFault }
  }

  @Test func readsAQuestion() throws {
    var message = DNSBuilder(query: "WwW.Example.COM", type: DNSType.aaaa)
    message.option()
    let query = try message.query()
    #expect(query.name == "www.example.com" && query.type == DNSType.aaaa && query.recordClass == 1 && query.hasOPT)
    #expect(try DNSBuilder(query: "").query().name.isEmpty)
  }

  @Test func escapesWhatNoHostNameHas() throws {
    var bytes = DNSBuilder.words(1, 0x0100, 1, 0, 0, 0)
    bytes += [4, UInt8(ascii: "a"), UInt8(ascii: "."), 0xFF, UInt8(ascii: "*"), 1, UInt8(ascii: "b"), 0]
    bytes += DNSBuilder.words(1, 1)
    #expect(try query(bytes).name == "a\\046\\255\\042.b")
  }

  @Test func refusesWhatIsNotOneQuestion() throws {
    let good = DNSBuilder(query: "a.example")
    #expect(fault(Array(good.bytes.prefix(11))) == .shorterThanItsHeader)
    for count in 12..<good.bytes.count {
      #expect(fault(Array(good.bytes.prefix(count))) == .truncatedField, "\(count) octets")
    }
    #expect(fault(good.bytes + [0]) == .octetsBehindTheEnd)
    func changed(_ at: Int, _ value: UInt16) -> [UInt8] {
      var copy = good
      copy.set(at, value)
      return copy.bytes
    }
    #expect(fault(changed(2, 0x8100)) == .notAQuery)
    #expect(fault(changed(2, 0x2000)) == .notAQuery, "NOTIFY")
    #expect(fault(changed(2, 0x2800)) == .notAQuery, "UPDATE")
    #expect(fault(changed(4, 0)) == .questionCount)
    #expect(fault(changed(4, 2)) == .questionCount)
    #expect(fault(changed(6, 1)) == .unexpectedRecords)
    #expect(fault(changed(8, 1)) == .unexpectedRecords)
    #expect(fault(changed(10, 1)) == .truncatedField)
    var twice = good
    twice.option()
    twice.option()
    #expect(fault(twice.bytes) == .secondOPT)
  }

  @Test(arguments: [
    ("a pointer forward", [0xC0, 16] as [UInt8], DNSFault.pointerNotBackwards),
    ("a pointer to itself", [0xC0, 12], .pointerNotBackwards),
    ("a pointer into the header", [0xC0, 4], .pointerNotBackwards),
    ("a circle over a label", [1, 97, 0xC0, 12], .pointerNotBackwards),
    ("an extended label", [0x41, 97, 0], .unknownLabelType),
    ("half a pointer", [0xC0], .truncatedField),
  ]) func refusesNamesThatGoAstray(_ name: String, _ octets: [UInt8], _ expected: DNSFault) {
    var bytes = DNSBuilder.words(1, 0x0100, 1, 0, 0, 0) + octets
    if name != "half a pointer" { bytes += DNSBuilder.words(1, 1) }
    #expect(fault(bytes) == expected)
  }

  @Test func refusesNamesThatAreTooLong() {
    let label = [UInt8(63)] + [UInt8](repeating: 97, count: 63)
    let longest = label + label + label + [61] + [UInt8](repeating: 97, count: 61) + [0]
    #expect(longest.count == 255)
    let head = DNSBuilder.words(1, 0x0100, 1, 0, 0, 0)
    #expect(fault(head + longest + DNSBuilder.words(1, 1)) == nil)
    let longer = label + label + label + [62] + [UInt8](repeating: 97, count: 62) + [0]
    #expect(fault(head + longer + DNSBuilder.words(1, 1)) == .nameTooLong)
  }

  // MARK: Answers

  private func answer(_ message: DNSBuilder, to name: String = "a.example", type: UInt16 = DNSType.a) throws
    -> DNSAnswer
  {
    try DNSAnswer(message.bytes, question: DNSBuilder(query: name, type: type).question, name: name)
  }

  @Test func takesTheAddressesOfTheChainOnly() throws {
    var message = DNSBuilder(query: "a.example")
    message.becomeAnswer()
    message.answer(DNSBuilder.questionPointer, type: DNSType.cname, ttl: 300, DNSBuilder.name("b.example"))
    message.answer(DNSBuilder.name("other.example"), "192.0.2.66")
    message.answer(DNSBuilder.name("C.example"), "192.0.2.1", ttl: 20)
    message.answer(DNSBuilder.name("b.example"), type: DNSType.cname, ttl: 30, DNSBuilder.name("c.Example"))
    message.answer(DNSBuilder.name("c.example"), "192.0.2.2", ttl: 40)
    message.answer(DNSBuilder.name("c.example"), "192.0.2.1", ttl: 40)
    message.answer(DNSBuilder.questionPointer, "192.0.2.67")
    message.option()
    let found = try answer(message)
    #expect(found.addresses.map(\.description) == ["192.0.2.1", "192.0.2.2"])
    #expect(found.aliases == ["b.example", "c.example"])
    #expect(found.timeToLive == 20)
  }

  @Test func readsBothFamiliesAndWhatItDoesNotKnow() throws {
    var message = DNSBuilder(query: "a.example", type: DNSType.aaaa)
    message.becomeAnswer()
    message.answer("2001:db8::1", ttl: 0x8000_0000)
    message.answer(DNSBuilder.questionPointer, type: 65, [0, 1, 0, 0, 4, 0, 4, 192, 0, 2, 9])
    let found = try answer(message, type: DNSType.aaaa)
    #expect(found.addresses.map(\.description) == ["2001:db8::1"] && found.timeToLive == 0)
  }

  @Test func aliasesInACircleEnd() throws {
    var message = DNSBuilder(query: "a.example")
    message.becomeAnswer()
    message.answer(DNSBuilder.questionPointer, type: DNSType.cname, DNSBuilder.name("b.example"))
    message.answer(DNSBuilder.name("b.example"), type: DNSType.cname, DNSBuilder.name("a.example"))
    #expect(try answer(message).addresses.isEmpty)
  }

  @Test func errorsHaveNoAddresses() throws {
    var message = DNSBuilder(query: "a.example")
    message.becomeAnswer(code: 3)
    message.answer("192.0.2.1")
    #expect(try answer(message).addresses.isEmpty)
  }

  @Test func believesOnlyTheAnswerToItsQuestion() throws {
    var message = DNSBuilder(query: "A.exAmple")
    message.becomeAnswer()
    #expect(try answer(message).header.responseCode == 0, "case may change")
    #expect(throws: DNSFault.otherQuestion) { try answer(message, to: "b.example") }
    #expect(throws: DNSFault.otherQuestion) { try answer(message, type: DNSType.aaaa) }
    #expect(throws: DNSFault.otherQuestion) { try answer(message, to: "a.example.com") }
    #expect(throws: DNSFault.notAnAnswer) { try answer(DNSBuilder(query: "a.example")) }
    message.bytes.append(0)
    #expect(throws: DNSFault.octetsBehindTheEnd) { try answer(message) }
    var short = DNSBuilder(query: "a.example")
    short.becomeAnswer()
    short.answer(DNSBuilder.questionPointer, type: DNSType.a, [192, 0, 2])
    #expect(throws: DNSFault.addressLength) { try answer(short) }
    var beyond = DNSBuilder(query: "a.example")
    beyond.becomeAnswer()
    beyond.answer(DNSBuilder.questionPointer, type: DNSType.cname, DNSBuilder.name("b.example") + [0])
    #expect(throws: DNSFault.dataLength) { try answer(beyond) }
  }

  // MARK: What the proxy answers

  @Test func refusalsRepeatTheQuestion() throws {
    var message = DNSBuilder(query: "Bad.Example", flags: 0x0110)
    message.option()
    let query = try message.query()
    let reply = message.bytes.withUnsafeBytes { DNSReply.make(DNSResponseCode.refused, to: query, $0) }
    let header = try reply.withUnsafeBytes { try DNSHeader($0) }
    #expect(header.id == 0x1234 && header.isResponse && header.responseCode == DNSResponseCode.refused)
    #expect(header.flags & DNSHeader.recursionDesiredFlag != 0 && header.additionals == 1)
    #expect(Array(reply[12..<query.questionEnd]) == message.question)
    #expect(try DNSAnswer(reply, question: message.question, name: query.name).addresses.isEmpty)
    let answer: [UInt8] = DNSBuilder.words(1, 0x8000, 0, 0, 0, 0)
    #expect(answer.withUnsafeBytes { DNSReply.make(DNSResponseCode.formatError, to: $0) } == nil)
  }

  @Test func recordsSurviveTheWire() throws {
    let record = DNSRecord(
      time: 1, latency: 2, client: SocketAddress(IPAddress("192.0.2.1")!, port: 3),
      server: SocketAddress(IPAddress("2001:db8::53")!, port: 53), isTCP: true, sourceIdentity: 4,
      destinationIdentity: 5, proxyRules: 6, service: 8, rule: 7, isDenied: true, responseCode: 5, type: 28,
      name: "a.example",
      addresses: [IPAddress("192.0.2.9")!, IPAddress("2001:db8::9")!], aliases: ["b.example", "c.example"],
      timeToLive: 60)
    var unanswered = record
    unanswered.responseCode = nil
    (unanswered.isDenied, unanswered.isAudited) = (false, true)
    unanswered.name = ""
    unanswered.aliases = []
    let bytes = record.encoded + unanswered.encoded
    #expect(bytes.withUnsafeBytes { ProxyRecord.decode($0) } == [.dns(record), .dns(unanswered)])
    for count in 0..<bytes.count {
      #expect(Array(bytes.prefix(count)).withUnsafeBytes { ProxyRecord.decode($0) }.count < 2)
    }
  }
}
