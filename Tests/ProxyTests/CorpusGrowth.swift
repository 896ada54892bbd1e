import Foundation
import TestSupport
import Testing

@testable import Proxy

/// Grows the stored corpus; run by hand with the folder and the seconds to spend:
///
///     MARTLET_FUZZ_CORPUS=Tests/ProxyTests/Corpus MARTLET_FUZZ_SECONDS=600 swift test --filter CorpusGrowth
@Suite struct CorpusGrowth {
  static let folder = ProcessInfo.processInfo.environment["MARTLET_FUZZ_CORPUS"]

  @Test(.enabled(if: folder != nil, "set MARTLET_FUZZ_CORPUS to grow the corpus")) func grow() throws {
    let folder = try #require(Self.folder)
    let seconds = Double(ProcessInfo.processInfo.environment["MARTLET_FUZZ_SECONDS"] ?? "") ?? 60
    let seed = UInt64(ProcessInfo.processInfo.environment["MARTLET_FUZZ_SEED"] ?? "") ?? 1
    let stored = CorpusFiles.all(in: folder)
    let handmade =
      (RequestSyntaxTests.accepted.map(\.0) + SmugglingCorpus.requests.map(\.stream)
      + ResponseSyntaxTests.scenarios.map(\.stream)).map { Array($0.utf8) }
    var mutator = Mutator(seed: seed, seeds: handmade + stored)
    var generator = SeededGenerator(seed: seed &+ 1)
    var seen: Set<[String]> = []
    for stream in handmade + stored { seen.insert(Self.shape(stream)) }
    var found = stored
    let end = Date().addingTimeInterval(seconds)
    var runs = 0
    while Date() < end {
      runs += 1
      let stream = mutator.next()
      let pieces = (0..<64).map { _ in Int.random(in: 1...24, using: &generator) }
      let limits = SplitInvarianceTests.limits
      let same =
        readRequests(stream, limits: limits) == readRequests(stream, pieces: pieces, limits: limits)
        && readResponses(stream, limits: limits) == readResponses(stream, pieces: pieces, limits: limits)
      #expect(same, "\(stream)")
      if !same || (found.count < 1500 && seen.insert(Self.shape(stream)).inserted) {
        found.append(stream)
        mutator.keep(stream)
      }
    }
    print("\(runs) streams, \(found.count - stored.count) new, \(found.count) stored")
    try Data(CorpusFiles.encode(found)).write(to: URL(fileURLWithPath: folder + "/streams"))
  }

  /// The kinds of events that a stream causes: two streams of one shape took about the same way.
  private static func shape(_ stream: [UInt8]) -> [String] {
    (readRequests(stream, limits: SplitInvarianceTests.limits) + [.incomplete]
      + readResponses(stream, limits: SplitInvarianceTests.limits)).map { event in
        switch event {
        case .request(let method, let path, _, let framing):
          "q\(method.count > 4) \(path.first == "/") \(framing.prefix(1))"
        case .response(let status, let framing, _): "r\(status / 100) \(framing.prefix(1))"
        case .forwarded(let count): "f\(count > 0)"
        case .fault(let fault): "x\(fault.rawValue)"
        case .incomplete: "i"
        }
      }
  }
}
