import Testing

@testable import Proxy

@Suite struct TimerHeapTests {
  @Test func `the earliest is first, whatever the order`() {
    var heap = TimerHeap()
    var random = SystemRandomNumberGenerator()
    var deadlines = (0..<500).map { _ in UInt64.random(in: 0..<200, using: &random) }
    for (number, deadline) in deadlines.enumerated() {
      heap.add(TimerHeap.Timer(deadline: deadline, number: UInt32(number), stamp: 0))
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
}
