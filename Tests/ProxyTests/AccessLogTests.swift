import Synchronization
import Testing

@testable import Proxy

/// When records leave the buffer that they wait in.
@Suite struct AccessLogTests {
  private final class Batches: Sendable {
    let sizes = Mutex<[Int]>([])
  }

  private func record() -> [UInt8] {
    DNSRecord(
      time: 1, latency: 2, client: SocketAddress(.init(v4: 1), port: 3), server: SocketAddress(.init(v4: 2), port: 53),
      isTCP: false, sourceIdentity: 4, destinationIdentity: 5, proxyRules: 6, rule: 7, isDenied: false, responseCode: 0,
      type: 1, name: "a.example", addresses: [], aliases: [], timeToLive: 0
    ).encoded
  }

  private func withLog(_ body: (inout AccessLog, Batches) -> Void) {
    let batches = Batches()
    var log = AccessLog(
      .callback { records in batches.sizes.withLock { $0.append(records.count) } }, counters: ProxyCounters())
    defer { log.deallocate() }
    body(&log, batches)
  }

  @Test func recordsWaitForCompany() {
    withLog { log, batches in
      #expect(log.deadline == nil)
      let start: UInt64 = 1_000_000_000
      for number in 0..<3 { log.append(record(), now: start + UInt64(number) * 1_000_000) }
      #expect(log.deadline == start + AccessLog.patience)
      log.flushIfDue(now: start + AccessLog.patience - 1)
      #expect(batches.sizes.withLock { $0 } == [])
      log.flushIfDue(now: start + AccessLog.patience)
      #expect(batches.sizes.withLock { $0 } == [3])
      #expect(log.deadline == nil)
    }
  }

  /// A worker reads the time once for a batch of events, so a record may come later than the worker's `now`.
  @Test func aRecordOfTheFutureIsNotDue() {
    withLog { log, batches in
      log.append(record(), now: 1_000_000_050)
      log.flushIfDue(now: 1_000_000_000)
      #expect(batches.sizes.withLock { $0 } == [])
    }
  }

  @Test func aFullBufferLeavesAtOnce() {
    withLog { log, batches in
      let fit = AccessLog.capacity / record().count
      for _ in 0...fit { log.append(record(), now: 1) }
      #expect(batches.sizes.withLock { $0 } == [fit])
    }
  }
}
