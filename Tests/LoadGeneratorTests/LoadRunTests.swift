import Glibc
import JSON
import Testing
import Threads

@testable import LoadGenerator

/// Runs against a server of this process, on loopback.
@Suite struct LoadRunTests {
  static func serve(_ behaviour: BenchServer.Behaviour) throws -> UInt16 {
    let server = try BenchServer(port: 0, behaviour: behaviour)
    let port = server.port
    nonisolated(unsafe) let handed = server
    DetachedThread.start { handed.run() }
    return port
  }

  static func options(_ port: UInt16, _ host: String = "127.0.0.1", echo: Int? = nil) throws -> LoadOptions {
    var options = LoadOptions(
      target: try LoadTarget(url: "http://\(host):\(port)/"),
      traffic: echo.map { .echo(bytes: $0) } ?? .http(method: "GET", headers: [], body: []))
    options.duration = 300_000_000
    options.warmUp = 50_000_000
    return options
  }

  @Test(arguments: ["127.0.0.1", "[::1]"])
  func `a rate is kept and every request counted`(host: String) async throws {
    var options = try Self.options(try Self.serve(.http(bodyBytes: 100)), host)
    options.rate = 500
    options.connections = 4
    options.threads = 2
    let result = try await LoadRun(options).run()
    #expect(result.answered + result.failed + result.unsent == 150)
    #expect(result.statuses == [200: result.answered])
    #expect(result.failures.isEmpty)
    #expect(result.opened == 0)
  }

  @Test(arguments: [false, true])
  func `without a rate every connection is busy`(newConnections: Bool) async throws {
    var options = try Self.options(try Self.serve(.http(bodyBytes: 100)))
    options.connections = 8
    options.newConnections = newConnections
    let result = try await LoadRun(options).run()
    #expect(result.answered > 100)
    #expect(result.failures.isEmpty)
    #expect(newConnections ? result.opened + 16 >= result.answered : result.opened == 0)
  }

  @Test(arguments: [1, 300_000]) func `bytes come back`(count: Int) async throws {
    var options = try Self.options(try Self.serve(.echo), echo: count)
    options.connections = 2
    let result = try await LoadRun(options).run()
    #expect(result.answered > 10)
    #expect(result.failures.isEmpty)
  }

  @Test(arguments: ["127.0.0.1", "[::1]"])
  func `connections are opened and ended`(host: String) async throws {
    let target = try LoadTarget(url: "http://\(host):\(try Self.serve(.echo))/")
    var options = LoadOptions(target: target, traffic: .connect)
    options.duration = 300_000_000
    options.warmUp = 50_000_000
    options.connections = 4
    let result = try await LoadRun(options).run()
    #expect(result.answered > 100)
    #expect(result.opened + 4 >= result.answered && result.opened <= result.answered + 4)
    #expect(result.failures.isEmpty)
  }

  @Test func `a request body is sent and skipped by the server`() async throws {
    var options = try Self.options(try Self.serve(.http(bodyBytes: 0)))
    options.traffic = .http(method: "POST", headers: [], body: [UInt8](repeating: 0x61, count: 200_000))
    let result = try await LoadRun(options).run()
    #expect(result.answered > 10)
    #expect(result.failures.isEmpty)
  }

  @Test func `refused connections are counted, at a pace`() async throws {
    // Nobody listens on a port that was bound and closed again.
    var options = try Self.options(1)
    options.rate = 100
    let result = try await LoadRun(options).run()
    #expect(result.answered == 0)
    #expect(result.failures.keys.sorted() == ["connect: ECONNREFUSED"])
    #expect(result.failed + result.unsent == 30)
    let document = LoadDocument(options: options, result: result).json
    #expect(document["RetCodes"]?["-1"]?.integerValue == Int64(result.failed))
  }

  @Test func `a server that stalls shows in the latency of the requests it kept from leaving`() async throws {
    let port = try StallingServer.start(stallAfter: 20, milliseconds: 200)
    var options = try Self.options(port)
    options.rate = 200
    options.warmUp = 0
    options.duration = 500_000_000
    let result = try await LoadRun(options).run()
    #expect(result.answered == 100)
    // 40 requests were due within the stall: the later they were, the less of it they saw. One alone saw it as sent.
    #expect(result.latencies.percentile(80) > 50_000_000)
  }

  @Test func `a silent server is a timeout`() async throws {
    var options = try Self.options(try StallingServer.start(stallAfter: 0, milliseconds: 5000))
    options.timeout = 100_000_000
    let result = try await LoadRun(options).run()
    #expect(result.answered == 0)
    #expect((result.failures["timeout"] ?? 0) >= 1)
  }

  @Test func `the document has fortio's names and units`() async throws {
    var options = try Self.options(try Self.serve(.http(bodyBytes: 10)))
    options.rate = 200
    let result = try await LoadRun(options).run()
    let document = LoadDocument(options: options, result: result).json
    #expect(document["RequestedQPS"]?.stringValue == "200")
    #expect(document["RetCodes"]?["200"]?.integerValue == Int64(result.answered))
    let percentiles = document["DurationHistogram"]?["Percentiles"]?.arrayValue ?? []
    #expect(percentiles.count == LoadDocument.percentiles.count)
    guard case .number(let median)? = percentiles.first?["Value"] else {
      Issue.record("no median")
      return
    }
    #expect(median > 0 && median < 0.1)
    #expect(document["DurationHistogram"]?["Data"] == nil)
    let full = LoadDocument(options: options, result: result, hasBuckets: true).json
    let buckets = full["DurationHistogram"]?["Data"]?.arrayValue ?? []
    #expect(buckets.compactMap { $0["Count"]?.integerValue }.reduce(0, +) == Int64(result.answered))
    #expect(buckets.last?["Percent"]?.integerValue == 100)
  }
}
