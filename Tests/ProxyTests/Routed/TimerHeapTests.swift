import Testing

@testable import Proxy

@Suite struct TimerHeapTests {
  @Test func `the earliest is first, whatever the order`() {
    var heap = TimerHeap()
    var random = SystemRandomNumberGenerator()
    var deadlines = (0..<500).map { _ in UInt64.random(in: 0..<200, using: &random) }
    for (number, deadline) in deadlines.enumerated() {
      heap.set(UInt32(number), at: deadline)
    }
    deadlines.sort()
    #expect(heap.first == deadlines[0])
    #expect(heap.take(until: 99).map { $0.deadline <= 99 } == true)
    var taken: [UInt64] = [deadlines[0]]
    while let timer = heap.take(until: 99) { taken.append(timer.deadline) }
    #expect(taken == deadlines.filter { $0 <= 99 })
    while let timer = heap.take(until: .max) { taken.append(timer.deadline) }
    #expect(taken == deadlines && heap.first == nil)
  }

  /// However often connections come and go, and deadlines with them.
  @Test func `each number has one timer, its earliest`() {
    var heap = TimerHeap()
    for round in UInt64(0)..<1000 {
      for number in UInt32(1)...3 { heap.set(number, at: 5000 + UInt64(number) - round % 10) }
    }
    #expect(heap.count == 3)
    #expect(heap.take(until: 10_000)?.deadline == 4992)
    heap.set(1, at: 1)
    #expect(heap.count == 3)
    let taken = (0..<3).compactMap { _ in heap.take(until: 10_000) }
    #expect(taken.map(\.deadline) == [1, 4993, 4994] && taken.map(\.number) == [1, 2, 3])
    #expect(heap.count == 0 && heap.take(until: .max) == nil)
  }
}
