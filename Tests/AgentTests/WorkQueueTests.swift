import KubernetesAPI
import Synchronization
import Testing

@testable import Agent

@Suite struct WorkQueueTests {
  private struct Failure: Error {}
  private static let fast = Backoff(base: .milliseconds(1), maximum: .milliseconds(4))

  private func queue(
    width: Int = 1, _ work: @escaping @Sendable (String) async throws -> Void
  ) -> WorkQueue<String> {
    WorkQueue(width: width, backoff: Self.fast, failed: { _, _, _ in }, work: work)
  }

  @Test func whatComesDuringARunCausesOneMore() async {
    let gate = Gate()
    let runs = Mutex(0)
    let queue = queue { _ in
      runs.withLock { $0 += 1 }
      await gate.pass()
    }
    queue.add("a")
    await gate.visited()
    for _ in 0..<5 { queue.add("a") }
    await gate.open()
    #expect(await eventually { queue.isIdle })
    #expect(runs.withLock { $0 } == 2)
  }

  @Test func oneKeyNeverRunsTwiceAtATime() async {
    let running = Mutex<Set<String>>([])
    let overlaps = Mutex(0)
    let queue = queue(width: 4) { key in
      if !running.withLock({ $0.insert(key).inserted }) { overlaps.withLock { $0 += 1 } }
      await Task.yield()
      running.withLock { _ = $0.remove(key) }
    }
    for round in 0..<200 { queue.add("key \(round % 3)") }
    #expect(await eventually { queue.isIdle })
    #expect(overlaps.withLock { $0 } == 0)
  }

  @Test func failuresAreTriedAgainAndHoldUpNobodyElse() async {
    let attempts = Mutex<[String: Int]>([:])
    let queue = queue { key in
      let count = attempts.withLock { attempts in
        attempts[key, default: 0] += 1
        return attempts[key] ?? 0
      }
      if key == "bad", count < 4 { throw Failure() }
    }
    queue.add("bad")
    queue.add("good")
    #expect(await eventually { queue.isIdle })
    #expect(attempts.withLock { $0 } == ["bad": 4, "good": 1])
  }

  @Test func nothingRunsAfterStop() async {
    let runs = Mutex(0)
    let queue = queue { _ in
      runs.withLock { $0 += 1 }
      throw Failure()
    }
    queue.add("a")
    #expect(await eventually { runs.withLock { $0 } > 0 })
    queue.stop()
    try? await Task.sleep(for: .milliseconds(5))
    let count = runs.withLock { $0 }
    try? await Task.sleep(for: .milliseconds(30))
    #expect(runs.withLock { $0 } == count)
  }
}
