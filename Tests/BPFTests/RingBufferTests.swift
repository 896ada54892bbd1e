import CLibBPF
import Glibc
import Testing

@testable import BPF

@Suite(.enabled(if: isRoot, "needs root")) struct RingBufferTests {
  private let loaded: LoadedObject
  private let ring: RingBuffer

  init() throws {
    loaded = try Sample.specification().load()
    ring = try RingBuffer(loaded.map("sample_events"))
  }

  private func emit(_ length: Int, times: Int = 1) throws {
    _ = try loaded.program("sample").testRun(data: Sample.packet(length), repeating: times)
  }

  private func read(atMost limit: Int = .max) -> [SampleEvent] {
    var events: [SampleEvent] = []
    ring.consume(atMost: limit) { events.append($0.loadUnaligned(as: SampleEvent.self)) }
    return events
  }

  @Test func recordsComeInOrderAndOnce() throws {
    #expect(read().isEmpty)
    #expect(try ring.wait(atMost: .milliseconds(1)) == false)
    for length in [60, 61, 62] { try emit(length) }
    #expect(try ring.wait(atMost: .seconds(1)))
    #expect(ring.pendingBytes == 3 * 16)
    #expect(read(atMost: 2).map(\.length) == [60, 61])
    #expect(read().map(\.length) == [62])
    #expect(ring.pendingBytes == 0)
  }

  @Test func wrapsAround() throws {
    // 4096 bytes hold 256 records of 16.
    for round in 0..<10 {
      try emit(60 + round, times: 100)
      #expect(read().map(\.length) == [UInt32](repeating: UInt32(60 + round), count: 100))
    }
    try emit(60, times: 1000)
    let full = read().count
    #expect((255...256).contains(full))
  }

  @Test(arguments: [RingBuffer.Wakeup.signalled, .every(.milliseconds(2))])
  func batches(_ wakeup: RingBuffer.Wakeup) async throws {
    let reader = Task { [ring] in
      var lengths: [UInt32] = []
      for try await batch in ring.batches(wakeup: wakeup, of: { $0.loadUnaligned(as: SampleEvent.self).length }) {
        lengths += batch
        if lengths.count >= 4 { break }
      }
      return lengths
    }
    for length in [60, 61, 62, 63] {
      try emit(length)
      try await Task.sleep(for: .milliseconds(3))
    }
    #expect(try await reader.value == [60, 61, 62, 63])
  }

  @Test(arguments: [RingBuffer.Wakeup.signalled, .every(.seconds(60))])
  func cancellationEndsTheSequence(_ wakeup: RingBuffer.Wakeup) async throws {
    let reader = Task { [ring] in
      for try await _ in ring.batches(wakeup: wakeup, of: { $0.count }) {}
      return true
    }
    try await Task.sleep(for: .milliseconds(5))
    reader.cancel()
    #expect(try await reader.value)
  }
}
