import Synchronization

/// Memory that one worker fills with lines, and one reader empties.
// Never used by two threads at once: it is handed over through a `LineQueue`.
final class LineChunk: @unchecked Sendable {
  static let capacity = 32768

  let memory: UnsafeMutablePointer<UInt8>
  /// Octets.
  var count = 0
  /// Whole lines.
  var lines = 0

  init() { memory = .allocate(capacity: Self.capacity) }

  deinit { memory.deallocate() }

  var octets: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: count) }
}

/// Lines on their way from the workers to who writes or sends them: chunks that go round, and no more than a fixed number of
/// them. Who finds none counts its line as lost; nobody waits.
final class LineQueue: Sendable {
  private struct State {
    var made = 0
    var free: [LineChunk] = []
    var full: [LineChunk] = []
  }

  private let state = Mutex(State())
  private let limit: Int
  private let done = Atomic<UInt64>(0)
  private let dropped = Atomic<UInt64>(0)

  /// - Parameter limit: Chunks, of ``LineChunk/capacity`` octets each.
  init(limit: Int = 64) { self.limit = limit }

  /// An empty chunk; nil where all are under way.
  func take() -> LineChunk? {
    state.withLock { state in
      if let chunk = state.free.popLast() { return chunk }
      guard state.made < limit else { return nil }
      state.made += 1
      return LineChunk()
    }
  }

  /// Hands a filled chunk over.
  func submit(_ chunk: LineChunk) { state.withLock { $0.full.append(chunk) } }

  /// Every chunk that has been handed over, the oldest first.
  func collect() -> [LineChunk] {
    state.withLock { state in
      defer { state.full.removeAll(keepingCapacity: true) }
      return state.full
    }
  }

  func giveBack(_ chunk: LineChunk) {
    chunk.count = 0
    chunk.lines = 0
    state.withLock { $0.free.append(chunk) }
  }

  func noteDone(_ lines: Int) { done.wrappingAdd(UInt64(lines), ordering: .relaxed) }

  func noteLost(_ lines: Int = 1) { dropped.wrappingAdd(UInt64(lines), ordering: .relaxed) }

  /// Lines that were written or sent, and those that were lost, on either side.
  var lines: UInt64 { done.load(ordering: .relaxed) }
  var lost: UInt64 { dropped.load(ordering: .relaxed) }
}
