import Foundation
import Routing
import Synchronization
import Testing

@testable import Proxy

@Suite struct ClusterGateTests {
  private func limits(_ connections: UInt32, _ pending: UInt32, requests: UInt32 = 100) -> CircuitBreakers.Thresholds {
    var limits = CircuitBreakers.Thresholds.unlimited
    limits.connections = connections
    limits.pending = pending
    limits.requests = requests
    return limits
  }

  @Test func `some enter, some wait in their order, and the others are refused`() throws {
    let gate = ClusterGate()
    let mailbox = try WorkerMailbox()
    let limits = limits(2, 2)
    func enter(_ number: UInt32, wasWoken: Bool = false) -> ClusterGate.Entry {
      gate.enter(limits, .init(mailbox: mailbox, connection: number, ticket: 1), wasWoken: wasWoken)
    }
    #expect((0..<5).map { enter($0) } == [.entered, .entered, .waiting, .waiting, .full])
    gate.leave()
    let woken = mailbox.collectWakes().map(\.waiter.connection)
    #expect(woken == [2])
    // Who comes now is behind those that wait.
    #expect(enter(5) == .waiting)
    #expect(enter(2, wasWoken: true) == .entered)
    gate.withdraw(1, of: 3, at: mailbox)
    gate.leave()
    #expect(mailbox.collectWakes().map(\.waiter.connection) == [5])
    #expect(gate.waitingRequests == 0 && gate.activeRequests == 1)
    // It does not want to any more, and nobody else waits.
    gate.wakeNext()
    #expect(mailbox.collectWakes().isEmpty)
  }

  @Test func `requests have a limit of their own`() throws {
    let gate = ClusterGate()
    let mailbox = try WorkerMailbox()
    let limits = limits(5, 5, requests: 1)
    #expect(gate.enter(limits, .init(mailbox: mailbox, connection: 1, ticket: 1), wasWoken: false) == .entered)
    #expect(gate.enter(limits, .init(mailbox: mailbox, connection: 2, ticket: 1), wasWoken: false) == .full)
    #expect(gate.beginRetry(limits))
  }

  @Test func `no wake is lost`() throws {
    let gate = ClusterGate()
    let limits = limits(3, 1000)
    let most = Atomic<UInt32>(0)
    let served = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      guard let mailbox = try? WorkerMailbox() else { return }
      func work() {
        most.max(gate.activeRequests, ordering: .relaxed)
        served.add(1, ordering: .relaxed)
        gate.leave()
      }
      for turn in 0..<5000 {
        func enter(wasWoken: Bool) -> ClusterGate.Entry {
          gate.enter(
            limits, .init(mailbox: mailbox, connection: UInt32(thread), ticket: UInt64(turn)), wasWoken: wasWoken)
        }
        var entry = enter(wasWoken: false)
        let deadline = Date.now.addingTimeInterval(20)
        while entry == .waiting, Date.now < deadline {
          if mailbox.collectWakes().isEmpty { sched_yield() } else { entry = enter(wasWoken: true) }
        }
        guard entry == .entered else { return }
        work()
      }
    }
    #expect(served.load(ordering: .relaxed) == 40_000)
    #expect(most.load(ordering: .relaxed) <= 3)
    #expect(gate.activeRequests == 0 && gate.waitingRequests == 0)
  }
}
