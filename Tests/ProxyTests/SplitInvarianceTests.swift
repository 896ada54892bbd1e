import TestSupport
import Testing

@testable import Proxy

#if canImport(Glibc)
  import Glibc
#endif

/// The octets decide, not how the network cut them.
@Suite struct SplitInvarianceTests {
  static let limits = HTTPLimits(line: 128, head: 512, fields: 8, chunkExtensions: 16, trailers: 64)

  @Test func randomSplitsOfTheCorpora() {
    var generator = SeededGenerator(seed: 7)
    let streams = RequestSyntaxTests.accepted.map(\.0) + SmugglingCorpus.requests.map(\.stream)
    for stream in streams.map({ Array($0.utf8) }) {
      let whole = readRequests(stream, limits: Self.limits)
      for _ in 0..<20 {
        let pieces = (0..<stream.count).map { _ in Int.random(in: 1...12, using: &generator) }
        #expect(readRequests(stream, pieces: pieces, limits: Self.limits) == whole)
      }
    }
  }

  @Test func mutatedStreams() {
    var mutator = Mutator(seed: 11, seeds: RequestSyntaxTests.accepted.map { Array($0.0.utf8) })
    var generator = SeededGenerator(seed: 12)
    for _ in 0..<4000 {
      let stream = mutator.next()
      let pieces = (0..<64).map { _ in Int.random(in: 1...24, using: &generator) }
      #expect(readRequests(stream, limits: Self.limits) == readRequests(stream, pieces: pieces, limits: Self.limits))
      #expect(
        readResponses(stream, limits: Self.limits) == readResponses(stream, pieces: pieces, limits: Self.limits))
    }
  }

  /// Streams that a long mutation run found to take a way through the readers that no earlier one took.
  @Test func storedCorpus() throws {
    let folder = try #require(CorpusFiles.folder)
    let files = CorpusFiles.all(in: folder)
    try #require(files.count > 20)
    for stream in files {
      let whole = readRequests(stream, limits: Self.limits)
      let responses = readResponses(stream, limits: Self.limits)
      for piece in [1, 2, 3, 17] {
        #expect(readRequests(stream, pieces: [piece], limits: Self.limits) == whole)
        #expect(readResponses(stream, pieces: [piece], limits: Self.limits) == responses)
      }
    }
  }
}
