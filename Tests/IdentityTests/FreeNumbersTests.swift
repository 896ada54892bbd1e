import Identity
import Testing

@Suite struct FreeNumbersTests {
  @Test(
    arguments: [
      (1...10, [], 1...10), (1...10, [1, 2, 3], 4...10), (1...10, [4], 5...10),
      (1...10, [0, 11, 99], 1...10), (1...10, [1, 10], 2...9), (0...3, [0], 1...3),
    ] as [(ClosedRange<UInt32>, Set<UInt32>, ClosedRange<UInt32>)])
  func theWidestRun(_ range: ClosedRange<UInt32>, _ used: Set<UInt32>, _ expected: ClosedRange<UInt32>) {
    let run = FreeNumbers.widestRun(in: range, avoiding: used)

    #expect(run == expected)
  }

  @Test func theEndsOfTheType() {
    #expect(FreeNumbers.widestRun(in: 1...UInt32.max, avoiding: [.max]) == 1...UInt32.max - 1)
    #expect(FreeNumbers.widestRun(in: 1...UInt32.max - 1, avoiding: [.max - 1]) == 1...UInt32.max - 2)
    #expect(FreeNumbers.widestRun(in: 3...4, avoiding: [3, 4]) == nil)
  }
}
