import BPF
import CMartletABI
import Glibc
import Testing

/// What a connection through the programs costs over a direct one of the same process, in one run: told, not judged. With
/// MARTLET_MEASURE=1, on a quiet machine, of enough connections to mean something.
@Suite(.enabled(if: isRoot, "needs root"), .serialized) struct SocketCostTests {
  private var batches: Int { getenv("MARTLET_MEASURE") == nil ? 1 : 60 }

  enum Way: CaseIterable { case direct, passing, balanced }

  /// ns of connect(2) over the loopback device, which includes the server's end of the handshake.
  private func connect(_ client: TestSocket, _ endpoint: Endpoint) throws -> Int {
    var begin = timespec()
    var end = timespec()
    clock_gettime(CLOCK_MONOTONIC, &begin)
    let result = client.connect(endpoint)
    clock_gettime(CLOCK_MONOTONIC, &end)
    try #require(result == 0)
    return (end.tv_sec - begin.tv_sec) * 1_000_000_000 + end.tv_nsec - begin.tv_nsec
  }

  @Test(arguments: [ClientForm.ipv4, .ipv6]) func connections(_ form: ClientForm) throws {
    let stage = try SocketStage()
    let server = try stage.servers(form.family, SOCK_STREAM, [1])[0]
    try stage.balance(form.family, Proto.tcp, servers: [1])
    var times: [Way: [Int]] = [:]
    // In batches: a socket's group is that of its process when it is made, and to move a process takes long.
    for _ in 0..<batches {
      for way in Way.allCases.shuffled() {
        let make = { try TestSocket(form.socketFamily, SOCK_STREAM, in: stage.namespace) }
        let clients =
          way == .direct
          ? try (0..<50).map { _ in try make() } : try stage.cgroup.inside { try (0..<50).map { _ in try make() } }
        let target = way == .balanced ? SocketStage.vip(form.family) : SocketStage.server(form.family, 1)
        for client in clients {
          times[way, default: []].append(try connect(client, target))
          let accepted = accept(server.descriptor, nil, nil)
          close(accepted)
        }
      }
    }
    func quantile(_ way: Way, _ part: Double) -> Int {
      let sorted = (times[way] ?? []).sorted()
      return sorted.isEmpty ? 0 : sorted[Int(Double(sorted.count - 1) * part)]
    }
    // In a run of its own, for counting costs too.
    let program = try stage.loaded.program(form == .ipv4 ? "sock4_connect" : "sock6_connect")
    let statistics = try Statistics.enable()
    for _ in 0..<batches {
      let clients = try stage.cgroup.inside {
        try (0..<50).map { _ in try TestSocket(form.socketFamily, SOCK_STREAM, in: stage.namespace) }
      }
      for client in clients {
        _ = try connect(client, SocketStage.vip(form.family))
        close(accept(server.descriptor, nil, nil))
      }
    }
    let info = try program.info()
    withExtendedLifetime(statistics) {}
    print("cost: \(form) program \(info.runTimeNanoseconds / max(1, info.runCount)) ns of \(info.runCount) runs")
    for way in Way.allCases {
      print("cost: \(form) \(way) p50 \(quantile(way, 0.5)) ns, p99 \(quantile(way, 0.99)) ns")
    }
  }
}
