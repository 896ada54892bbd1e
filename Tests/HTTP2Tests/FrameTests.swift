import TestSupport
import Testing

@testable import HTTP2

@Suite struct FrameTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// The nine octets.
    var hex: String
    var fault: HTTP2Fault?
  }

  static let cases: [Case] = [
    Case(testDescription: "4.2 as large as allowed", hex: "004000 00 00 00000001", fault: nil),
    Case(testDescription: "4.2 larger than allowed", hex: "004001 00 00 00000001", fault: .frameTooLarge),
    Case(testDescription: "4.1 the reserved bit is passed over", hex: "000000 00 00 80000001", fault: nil),
    Case(testDescription: "5.5 unknown types are passed over", hex: "000003 20 ff 00000000", fault: nil),
    Case(testDescription: "6.1 DATA of no stream", hex: "000001 00 00 00000000", fault: .frameNeedsStream),
    Case(testDescription: "6.2 HEADERS of no stream", hex: "000001 01 04 00000000", fault: .frameNeedsStream),
    Case(testDescription: "6.3 PRIORITY of no stream", hex: "000005 02 00 00000000", fault: .frameNeedsStream),
    Case(testDescription: "6.3 PRIORITY of four octets", hex: "000004 02 00 00000001", fault: .wrongFrameLength),
    Case(testDescription: "6.4 RST_STREAM of no stream", hex: "000004 03 00 00000000", fault: .frameNeedsStream),
    Case(testDescription: "6.4 RST_STREAM of five octets", hex: "000005 03 00 00000001", fault: .wrongFrameLength),
    Case(testDescription: "6.5 SETTINGS of a stream", hex: "000000 04 00 00000001", fault: .frameHasStream),
    Case(testDescription: "6.5 SETTINGS of five octets", hex: "000005 04 00 00000000", fault: .wrongFrameLength),
    Case(
      testDescription: "6.5 acknowledgement with values", hex: "000006 04 01 00000000",
      fault: .settingsAcknowledgementWithValues),
    Case(testDescription: "6.7 PING of a stream", hex: "000008 06 00 00000001", fault: .frameHasStream),
    Case(testDescription: "6.7 PING of six octets", hex: "000006 06 00 00000000", fault: .wrongFrameLength),
    Case(testDescription: "6.8 GOAWAY of a stream", hex: "000008 07 00 00000001", fault: .frameHasStream),
    Case(testDescription: "6.8 GOAWAY of seven octets", hex: "000007 07 00 00000000", fault: .wrongFrameLength),
    Case(testDescription: "6.9 WINDOW_UPDATE of three octets", hex: "000003 08 00 00000000", fault: .wrongFrameLength),
    Case(testDescription: "6.10 CONTINUATION of no stream", hex: "000001 09 04 00000000", fault: .frameNeedsStream),
  ]

  @Test(arguments: cases) func `headers of frames`(_ example: Case) {
    #expect(FrameHeader(octets(example.hex)).fault(maximum: 16384) == example.fault)
  }

  static let contents: [(String, FrameType, FrameFlags, String, Int?)] = [
    ("no padding", .data, [], "616263", 3),
    ("padding", .data, .padded, "02 61 0000", 1),
    ("nothing but padding", .data, .padded, "03 000000", 0),
    ("6.1 padding as long as the frame", .data, .padded, "04 000000", nil),
    ("6.1 no room for the length of the padding", .data, .padded, "", nil),
    ("priority", .headers, .priority, "00000000 10 82", 1),
    ("priority and padding", .headers, [.priority, .padded], "01 00000000 10 82 00", 1),
    ("6.2 no room for the priority", .headers, .priority, "00000000", nil),
    ("6.2 padding that reaches into the priority", .headers, [.priority, .padded], "02 00000000 10 82", nil),
  ]

  @Test(arguments: contents)
  func `contents of frames`(_ name: String, _ type: FrameType, _ flags: FrameFlags, _ hex: String, _ count: Int?) {
    let payload = octets(hex)
    var content = FrameContent()
    let fault = content.find(FrameHeader(length: payload.count, type: type, flags: flags, stream: 1), payload + [0])
    #expect(fault == (count == nil ? .wrongPadding : nil), "\(name)")
    if let count { #expect(content.count == count && content.start + content.count <= payload.count, "\(name)") }
  }

  static let settings: [(String, String, HTTP2Fault?)] = [
    ("nothing", "", nil), ("6.5.2 unknown", "00ff 00000001", nil),
    ("6.5.2 push of a server", "0002 00000001", .wrongSetting), ("6.5.2 push 2", "0002 00000002", .wrongSetting),
    ("6.5.2 window of 2^31", "0004 80000000", .wrongInitialWindow), ("window of 2^31-1", "0004 7fffffff", nil),
    ("6.5.2 frames too small", "0005 00003fff", .wrongSetting), ("6.5.2 too large", "0005 01000000", .wrongSetting),
  ]

  @Test(arguments: settings) func `settings of a server`(_ name: String, _ hex: String, _ fault: HTTP2Fault?) {
    var settings = PeerSettings()
    let payload = octets(hex)
    #expect(settings.apply(payload + [0], count: payload.count, isClient: false) == fault, "\(name)")
  }

  @Test func `frames are written as they are read`() {
    let bytes = written(200) { writer in
      writer.putSettings([.enablePush: 0, .initialWindowSize: 262_144])
      writer.putWindowUpdate(stream: 0, increment: 5)
      writer.putReset(stream: 3, code: 8)
      writer.putGoAway(lastStream: 7, code: .enhanceYourCalm, reason: "why")
      writer.putData(stream: 1, [0x61], 1, endStream: true)
    }
    let expected = """
      00000c 04 00 00000000 0002 00000000 0004 00040000
      000004 08 00 00000000 00000005
      000004 03 00 00000003 00000008
      00000b 07 00 00000000 00000007 0000000b 776879
      000001 00 01 00000001 61
      """
    #expect(bytes == octets(expected))
  }

  /// A block of any length comes back whole from its HEADERS and CONTINUATIONs.
  @Test(arguments: [0, 1, 5000, 16370, 16384, 20000, 33000, 64000]) func `long header sections`(_ length: Int) {
    let encoder = TestEncoder()
    let list = HeaderList([TextField("x", String(repeating: "~", count: length), .plain)], limit: 70000)
    defer { list.deallocate() }
    let bytes = written(OctetWriter.headersBound(list.size)) {
      $0.putHeaders(stream: 5, list, &encoder.encoder, endStream: true)
    }
    let decoder = TestDecoder(limit: 70000)
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: 70000)
    defer { memory.deallocate() }
    var block = HeaderBlock()
    var at = 0
    var isComplete = false
    while at < bytes.count {
      let header = FrameHeader(Array(bytes[at..<at + 9]))
      #expect(header.fault(maximum: 16384) == nil && header.stream == 5 && !isComplete)
      if at > 0 { #expect(block.fault(header) == nil) }
      if at == 0 { block.begin(header, in: memory) }
      let payload = Array(bytes[(at + 9)..<(at + 9 + header.length)])
      #expect(block.add(payload, payload.count, limit: 70000) == nil)
      isComplete = header.flags.contains(.endHeaders)
      at += 9 + header.length
    }
    #expect(isComplete && block.flags.contains(.endStream))
    #expect(decoder.decode(Array(UnsafeBufferPointer(start: memory, count: block.count))) == nil)
    #expect(decoder.list.all.first?.value.utf8.count == length)
  }

  @Test func `a block has a bound in octets and in frames`() {
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: 100)
    defer { memory.deallocate() }
    var block = HeaderBlock()
    let head = FrameHeader(length: 0, type: .headers, stream: 1)
    #expect(block.fault(FrameHeader(length: 0, type: .continuation, stream: 1)) == .unexpectedContinuation)
    block.begin(head, in: memory)
    #expect(block.fault(FrameHeader(length: 0, type: .data, stream: 1)) == .expectedContinuation)
    #expect(block.fault(FrameHeader(length: 0, type: .continuation, stream: 3)) == .expectedContinuation)
    #expect(block.add([UInt8](repeating: 0, count: 60), 60, limit: 100) == nil)
    #expect(block.add([UInt8](repeating: 0, count: 60), 60, limit: 100) == .headerBlockTooLarge)
    block.begin(head, in: memory)
    for _ in 0..<HeaderBlock.maximumFrames { #expect(block.add([0], 0, limit: 100) == nil) }
    #expect(block.add([0], 0, limit: 100) == .tooManyContinuations)
  }
}
