import Glibc
import Testing

@testable import LoadGenerator

/// Both ends in this process, on loopback.
@Suite struct PairRunTests {
  private static func free() throws -> UInt16 {
    let descriptor = try LoadSocket.listen(0)
    defer { close(descriptor) }
    return LoadSocket.port(of: descriptor)
  }

  private static func run(_ hosts: [String], resets: Bool = false, threads: Int = 1) async throws -> PairRun.Outcome {
    let port = try free()
    var run = PairRun(targets: try hosts.map { try LoadTarget(endpoint: "\($0):\(port)") }, port: port)
    run.resets = resets
    run.threads = threads
    run.duration = 200_000_000
    run.warmUp = 20_000_000
    return try await run.run()
  }

  @Test(arguments: [false, true], [1, 2])
  func `connections are made and ended`(resets: Bool, threads: Int) async throws {
    let outcome = try await Self.run(["127.0.0.1"], resets: resets, threads: threads)
    #expect(outcome.latencies[0].count > 100)
    #expect(outcome.latencies[0].percentile(50) > 1000)
  }

  @Test func `targets take turns`() async throws {
    let counts = try await Self.run(["127.0.0.1", "[::1]"]).latencies.map(\.count)
    #expect(counts[0] > 100)
    #expect(max(counts[0], counts[1]) - min(counts[0], counts[1]) <= 1)
  }

  @Test func `a namespace that is not there ends the run`() async throws {
    var run = PairRun(targets: [try LoadTarget(endpoint: "127.0.0.1:9")], port: 9)
    run.serverNamespace = "/nowhere"
    await #expect(throws: (any Error).self) { try await run.run() }
  }

  @Test func `a target where nobody listens ends the run`() async throws {
    var run = PairRun(targets: [try LoadTarget(endpoint: "127.0.0.1:\(try Self.free())")], port: try Self.free())
    run.duration = 50_000_000
    await #expect(throws: LoadError.self) { try await run.run() }
  }
}
