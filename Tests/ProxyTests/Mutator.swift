import TestSupport

@testable import Proxy

#if canImport(Glibc)
  import Glibc
#endif

/// Makes streams that are almost good messages.
struct Mutator {
  private var generator: SeededGenerator
  private(set) var seeds: [[UInt8]]

  static let words: [String] = [
    "\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", ";", ",", "\0", "0\r\n\r\n", "5\r\n", "ffffffffffffffff", "chunked",
    "Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n", "Content-Length: 18446744073709551616\r\n",
    "Host: b\r\n",
    "HTTP/1.1 200 OK\r\n", " HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "http://a/", "\"", "\\",
    "Upgrade: h2c\r\n",
    "Connection: close\r\n", "Expect: 100-continue\r\n", "\u{7f}", "X: y\r\n", "HTTP/1.0 204 \r\n\r\n",
  ]

  init(seed: UInt64, seeds: [[UInt8]]) {
    generator = SeededGenerator(seed: seed)
    self.seeds = seeds
  }

  mutating func keep(_ stream: [UInt8]) { seeds.append(stream) }

  mutating func next() -> [UInt8] {
    var stream = seeds[Int.random(in: 0..<seeds.count, using: &generator)]
    for _ in 0..<Int.random(in: 1...4, using: &generator) { change(&stream) }
    return Array(stream.prefix(2048))
  }

  private mutating func change(_ stream: inout [UInt8]) {
    let at = stream.isEmpty ? 0 : Int.random(in: 0..<stream.count, using: &generator)
    let end = stream.isEmpty ? 0 : min(stream.count, at + Int.random(in: 1...16, using: &generator))
    switch Int.random(in: 0..<7, using: &generator) {
    case 0 where !stream.isEmpty: stream[at] = UInt8.random(in: 0...255, using: &generator)
    case 1 where !stream.isEmpty: stream[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 2: stream.removeSubrange(at..<end)
    case 3: stream.insert(contentsOf: Array(stream[at..<end]), at: at)
    case 4:
      let other = seeds[Int.random(in: 0..<seeds.count, using: &generator)]
      let cut = other.isEmpty ? 0 : Int.random(in: 0..<other.count, using: &generator)
      stream = Array(stream.prefix(at)) + other.dropFirst(cut)
    default:
      let word = Self.words[Int.random(in: 0..<Self.words.count, using: &generator)]
      stream.insert(contentsOf: Array(word.utf8), at: at)
    }
  }
}
