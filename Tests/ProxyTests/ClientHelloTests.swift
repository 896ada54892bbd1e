import TestSupport
import Testing

@testable import Proxy

/// A ClientHello, as a test wants it.
struct HelloBuilder {
  var version: [UInt8] = [3, 3]
  var session: [UInt8] = []
  var suites: [UInt8] = [0x13, 0x01]
  var compression: [UInt8] = [0]
  /// Type and data; nil: no block of extensions at all.
  var extensions: [(type: UInt16, data: [UInt8])]? = []

  init(_ name: String? = nil) {
    if let name { extensions = [(10, [0, 2, 0, 29]), (0, Self.list(Array(name.utf8))), (43, [2, 3, 4])] }
  }

  static func word(_ number: Int) -> [UInt8] { [UInt8(number >> 8 & 255), UInt8(number & 255)] }

  static func list(_ name: [UInt8], type: UInt8 = 0) -> [UInt8] {
    word(name.count + 3) + [type] + word(name.count) + name
  }

  var message: [UInt8] {
    var body = version + [UInt8](repeating: 7, count: 32) + [UInt8(session.count)] + session
    body += Self.word(suites.count) + suites + [UInt8(compression.count)] + compression
    if let extensions {
      let all = extensions.flatMap { Self.word(Int($0.type)) + Self.word($0.data.count) + $0.data }
      body += Self.word(all.count) + all
    }
    return [1, UInt8(body.count >> 16)] + Self.word(body.count & 0xFFFF) + body
  }

  /// In records of at most `size` octets.
  func records(of size: Int = 16384) -> [UInt8] { Self.records(message, of: size) }

  static func records(_ message: [UInt8], of size: Int) -> [UInt8] {
    stride(from: 0, to: message.count, by: size).flatMap { start in
      let part = message[start..<min(message.count, start + size)]
      return [22, 3, 1] + word(part.count) + part
    }
  }
}

@Suite struct ClientHelloTests {
  static func read(_ bytes: [UInt8], cut: Int = .max) -> ClientHelloReader.Outcome {
    var reader = ClientHelloReader()
    var outcome = ClientHelloReader.Outcome.incomplete
    var at = 0
    while at < bytes.count {
      let end = min(bytes.count, at + min(cut, bytes.count))
      outcome = Array(bytes[at..<end]).withUnsafeBufferPointer { reader.consume($0) }
      at = end
    }
    return outcome
  }

  static func changed(_ name: String? = "www.example.com", _ change: (inout HelloBuilder) -> Void) -> [UInt8] {
    var builder = HelloBuilder(name)
    change(&builder)
    return builder.records()
  }

  static let cases: [(note: String, bytes: [UInt8], outcome: ClientHelloReader.Outcome)] = [
    ("a name", HelloBuilder("www.example.com").records(), .hello(name: "www.example.com")),
    ("capitals", HelloBuilder("WWW.Example.COM").records(), .hello(name: "www.example.com")),
    ("no name", HelloBuilder().records(), .hello(name: nil)),
    ("no extensions at all", changed { $0.extensions = nil }, .hello(name: nil)),
    (
      "an encrypted hello has an outer name", changed { $0.extensions?.append((0xFE0D, [0, 1, 2])) },
      .hello(name: "www.example.com")
    ),
    ("a name in ESNI is none", changed(nil) { $0.extensions = [(0xFFCE, [1, 2, 3])] }, .hello(name: nil)),
    ("early data behind it", HelloBuilder("a.example").records() + [23, 3, 3, 0, 1, 9], .hello(name: "a.example")),
    (
      "the name twice",
      changed { $0.extensions?.append((0, HelloBuilder.list(Array("other.example".utf8)))) }, .fault(.malformed)
    ),
    ("any extension twice", changed { $0.extensions?.append((10, [])) }, .fault(.malformed)),
    (
      "two names in the list",
      changed(nil) {
        let one = HelloBuilder.list(Array("a".utf8)).dropFirst(2)
        $0.extensions = [(0, HelloBuilder.word(one.count * 2) + one + one)]
      }, .fault(.malformed)
    ),
    ("an empty list", changed(nil) { $0.extensions = [(0, [0, 0])] }, .fault(.malformed)),
    ("an empty name", changed(nil) { $0.extensions = [(0, HelloBuilder.list([]))] }, .fault(.malformed)),
    (
      "another type of name", changed(nil) { $0.extensions = [(0, HelloBuilder.list([97], type: 1))] },
      .fault(.malformed)
    ),
    (
      "octets behind the list", changed(nil) { $0.extensions = [(0, HelloBuilder.list([97]) + [0])] },
      .fault(.malformed)
    ),
    ("a dot at the end", HelloBuilder("www.example.com.").records(), .fault(.malformed)),
    ("a NUL", HelloBuilder("www.example.com\0.evil").records(), .fault(.malformed)),
    ("an empty label", HelloBuilder("www..com").records(), .fault(.malformed)),
    ("an address in colons", HelloBuilder("2001:db8::1").records(), .fault(.malformed)),
    ("a label of 64", HelloBuilder(String(repeating: "a", count: 64)).records(), .fault(.malformed)),
    ("a session of 33", changed { $0.session = [UInt8](repeating: 1, count: 33) }, .fault(.malformed)),
    ("no cipher suites", changed { $0.suites = [] }, .fault(.malformed)),
    ("half a cipher suite", changed { $0.suites = [1] }, .fault(.malformed)),
    ("no compression", changed { $0.compression = [] }, .fault(.malformed)),
    ("version 4", changed { $0.version = [4, 0] }, .fault(.malformed)),
    (
      "a message behind it in the record",
      HelloBuilder.records(HelloBuilder("a.example").message + [1, 0, 0, 0], of: 16384), .fault(.malformed)
    ),
    ("a server's hello", [22, 3, 1, 0, 4, 2, 0, 0, 0], .fault(.malformed)),
    ("an empty record", [22, 3, 1, 0, 0], .fault(.malformed)),
    ("a record that is too long", [22, 3, 1, 0x40, 1], .fault(.tooLarge)),
    ("a message that is too long", [22, 3, 1, 0, 4, 1, 0, 0x40, 1], .fault(.tooLarge)),
    ("HTTP", Array("GET / HTTP/1.1\r\n".utf8), .fault(.notTLS)),
    ("an SSL 2 hello", [0x80, 0x2E, 1, 3, 1], .fault(.notTLS)),
    (
      "an alert in between", Array(HelloBuilder("a.example").records(of: 20).prefix(25)) + [21, 3, 1, 0, 2, 1, 0],
      .fault(.notTLS)
    ),
  ]

  @Test(arguments: cases.indices) func reads(_ index: Int) {
    let row = Self.cases[index]
    #expect(Self.read(row.bytes) == row.outcome, "\(row.note)")
    // However it is cut.
    for cut in [1, 2, 3, 7, 64] { #expect(Self.read(row.bytes, cut: cut) == row.outcome, "\(row.note) by \(cut)") }
  }

  @Test(arguments: [1, 2, 5, 100]) func `records may cut the message anywhere`(_ size: Int) {
    let bytes = HelloBuilder("www.example.com").records(of: size)
    for cut in [1, 6, 1000] { #expect(Self.read(bytes, cut: cut) == .hello(name: "www.example.com")) }
    for count in 0..<bytes.count { #expect(Self.read(Array(bytes.prefix(count))) == .incomplete) }
  }

  @Test func `the smallest records do not make it read for ever`() {
    var builder = HelloBuilder("a.example")
    builder.extensions?.append((21, [UInt8](repeating: 0, count: 16000)))
    #expect(Self.read(builder.records()) == .hello(name: "a.example"))
    #expect(Self.read(builder.records(of: 1), cut: 100) == .fault(.tooLarge))
  }
}

/// Hellos that are changed at random: nothing may crash or read beyond the end, however the octets are cut, and a name
/// that is taken stands in them.
@Suite struct ClientHelloFuzzTests {
  static let seeds: [[UInt8]] =
    ClientHelloTests.cases.map(\.bytes) + [
      HelloBuilder("deep.name.of.a.server.example.com").records(of: 9), HelloBuilder("a.b").records(of: 1),
    ]

  @Test(arguments: 0..<8) func survives(_ seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    var named = 0
    for _ in 0..<4_000 {
      var bytes = Self.seeds.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 0...3, using: &random) { Self.mutate(&bytes, &random) }
      let whole = ClientHelloTests.read(bytes)
      #expect(ClientHelloTests.read(bytes, cut: Int.random(in: 1...9, using: &random)) == whole)
      if case .hello(let name?) = whole {
        named += 1
        #expect(DNSNames.isName(name))
      }
    }
    #expect(named > 200, "the changes must leave some names readable")
  }

  private enum DNSNames {
    static func isName(_ name: String) -> Bool {
      name.utf8.count <= 255
        && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
          (1...63).contains(label.utf8.count)
            && label.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789-_".contains($0) }
        }
    }
  }

  private static func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
    guard !bytes.isEmpty else { return bytes.append(22) }
    let at = Int.random(in: 0..<bytes.count, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
    case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...4, using: &random)))
    case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
    case 4: bytes[at] = [0, 1, 3, 22, 64, 255].randomElement(using: &random) ?? 0
    default: bytes.append(contentsOf: bytes[at...].prefix(16))
    }
  }
}
