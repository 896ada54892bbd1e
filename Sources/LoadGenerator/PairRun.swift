import JSON
import Netlink
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Connections whose both ends one thread holds: opened, used and ended one after another, so that nothing is waited for and
/// what is measured is the kernel's way from end to end, with system calls as the only work of its own.
///
///     var run = PairRun(targets: [try LoadTarget(endpoint: "10.96.0.10:80")], port: 8080)
///     run.serverNamespace = "/run/netns/server"
///     let result = try await run.run()
public struct PairRun: Sendable {
  /// Where connections go, in turn; each must lead to the server's namespace.
  public var targets: [LoadTarget]
  /// The port that is listened on there, of both families.
  public var port: UInt16
  /// Path of the network namespace of the servers' ends; nil: the caller's own.
  public var serverNamespace: String?
  /// Ends each connection by a reset as soon as it is open. Otherwise an octet goes there and one comes back, and the
  /// server closes first, so that TIME_WAIT is at its end.
  public var resets = false
  /// Nanoseconds that are measured.
  public var duration: UInt64 = 2_000_000_000
  /// Nanoseconds before that, with the same load.
  public var warmUp: UInt64 = 300_000_000
  public var threads = 1

  public init(targets: [LoadTarget], port: UInt16) {
    self.targets = targets
    self.port = port
  }

  /// The time that connections took, both ends and their making and closing included, by target; nanoseconds.
  public struct Outcome: Sendable {
    public var latencies: [LatencyHistogram]
    public var use = ResourceUse.Difference()

    mutating func merge(_ other: Outcome) {
      for index in latencies.indices { latencies[index].merge(other.latencies[index]) }
      use.merge(other.use)
    }
  }

  /// Ends with the first connection that fails.
  public func run() async throws -> Outcome {
    guard !targets.isEmpty else { throw LoadError("no target is given") }
    guard threads > 0 else { throw LoadError("threads: \(threads) is not above 0") }
    let listener = try listen()
    defer { close(listener) }
    return try await withThrowingTaskGroup(of: Result<Outcome, LoadError>.self) { group in
      for _ in 0..<threads {
        group.addTask {
          await DetachedThread.run {
            Result { () throws(LoadError) in try PairWorker(self, listener: listener).run() }
          }
        }
      }
      var whole = Outcome(latencies: targets.map { _ in LatencyHistogram() })
      for try await part in group { whole.merge(try part.get()) }
      return whole
    }
  }

  /// All threads take what comes from one socket: a connection is in its queue before connect(2) returns.
  private func listen() throws -> Int32 {
    guard let serverNamespace else { return try LoadSocket.listen(port) }
    return try NetworkNamespace(path: serverNamespace).run { try LoadSocket.listen(port) }
  }

  public func document(_ outcome: Outcome) -> JSONValue {
    let count = outcome.latencies.reduce(0) { $0 + $1.count }
    return [
      "RunType": "TCP pairs",
      "ActualQPS": .number(Double(count) / (Double(duration) / 1e9)),
      "ActualDuration": .integer(Int64(duration)),
      "NumThreads": .integer(Int64(threads)),
      "Targets": .array(
        zip(targets, outcome.latencies).map { target, latencies in
          [
            "URL": .string("tcp://\(target.authority)"), "DurationHistogram": LoadDocument.histogram(latencies),
          ]
        }),
      "Generator": [
        "UserSeconds": .number(outcome.use.userSeconds), "SystemSeconds": .number(outcome.use.systemSeconds),
      ],
    ]
  }
}
