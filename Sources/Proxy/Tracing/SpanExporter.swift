import JSON
import Synchronization

/// What became of batches.
final class ExportCounters: Sendable {
  private let takenBatches = Atomic<UInt64>(0)
  private let failedBatches = Atomic<UInt64>(0)

  func note(isTaken: Bool) {
    if isTaken {
      takenBatches.wrappingAdd(1, ordering: .relaxed)
    } else {
      failedBatches.wrappingAdd(1, ordering: .relaxed)
    }
  }

  var taken: UInt64 { takenBatches.load(ordering: .relaxed) }
  var failed: UInt64 { failedBatches.load(ordering: .relaxed) }
}

/// Sends spans to a collector, as OTLP over HTTP in its JSON form (https://opentelemetry.io/docs/specs/otlp/): together what
/// came within five seconds, or 512 of them. What a collector may take later is sent again four times, each time after a
/// longer wait; what does not fit meanwhile is dropped, and counted.
final class SpanExporter: LineOutlet {
  let queue = LineQueue()
  let thread = OutletThread()
  let counters = ExportCounters()
  private let target: Mutex<CollectorTarget>
  private let prefix: [UInt8]
  private let state = Mutex(State())

  private struct State {
    var waiting: [UInt8] = []
    var spans = 0
    /// When the first of them came.
    var since: UInt64 = 0
    var batch: Batch?
  }

  private struct Batch {
    let body: [UInt8]
    let spans: Int
    var attempts = 0
    /// Before that it is not sent again.
    var notBefore: UInt64 = 0
  }

  private static let batchSpans = 512
  private static let patience: UInt64 = 5_000_000_000
  private static let attempts = 5
  /// Octets that may wait.
  private static let limit = 4 << 20
  private static let suffix = Array("]}]}]}".utf8)

  init(_ target: CollectorTarget, serviceName: String) {
    self.target = Mutex(target)
    let resource: JSONValue = [
      "attributes": [["key": "service.name", "value": ["stringValue": .string(serviceName)]]]
    ]
    prefix = Array(
      ("{\"resourceSpans\":[{\"resource\":\(resource.text()),\"scopeSpans\":[{\"scope\":{\"name\":\"martlet\"},"
        + "\"spans\":[").utf8)
    thread.add(self)
  }

  deinit {
    // Its listener has another collector now.
    let lost = queue.collect().reduce(0) { $0 + $1.lines }
    queue.noteLost(state.withLock { lost + $0.spans + ($0.batch?.spans ?? 0) })
  }

  /// The collector is elsewhere from now on.
  func move(to place: CollectorTarget.Place) { target.withLock { $0.place = place } }

  func work(now: UInt64) -> UInt64? { work(now: now, isLast: false) }

  /// Sends what waits, once.
  func finish() { _ = work(now: Clock.monotonic(), isLast: true) }

  private func work(now: UInt64, isLast: Bool) -> UInt64? {
    state.withLock { state in
      collect(&state, now)
      while true {
        if state.batch == nil, state.spans > 0,
          isLast || state.spans >= Self.batchSpans || now >= state.since &+ Self.patience
        {
          state.batch = Batch(body: prefix + state.waiting.dropLast() + Self.suffix, spans: state.spans)
          state.waiting.removeAll(keepingCapacity: true)
          state.spans = 0
        }
        guard let batch = state.batch else { return state.spans > 0 ? state.since &+ Self.patience : nil }
        guard isLast || now >= batch.notBefore else { return batch.notBefore }
        send(batch, &state, isLast: isLast)
        if let batch = state.batch { return batch.notBefore }
      }
    }
  }

  /// Takes what the workers have handed over: each span has a comma behind it.
  private func collect(_ state: inout State, _ now: UInt64) {
    for chunk in queue.collect() {
      if state.waiting.count + chunk.count > Self.limit {
        queue.noteLost(chunk.lines)
      } else {
        if state.spans == 0 { state.since = now }
        state.waiting.append(contentsOf: chunk.octets)
        state.spans += chunk.lines
      }
      queue.giveBack(chunk)
    }
  }

  private func send(_ batch: Batch, _ state: inout State, isLast: Bool) {
    let target = target.withLock { $0 }
    let answer = CollectorClient.post(batch.body, to: target)
    let isTaken = answer.map { 200...299 ~= $0.status } ?? false
    counters.note(isTaken: isTaken)
    if isTaken {
      queue.noteDone(batch.spans)
      state.batch = nil
      return
    }
    // OTLP: these, and no answer at all, may be otherwise later.
    let mayRetry = answer.map { [429, 502, 503, 504].contains($0.status) } ?? true
    guard mayRetry, !isLast, batch.attempts + 1 < Self.attempts else {
      queue.noteLost(batch.spans)
      state.batch = nil
      return
    }
    var batch = batch
    let wait = answer?.retryAfter.map { UInt64(max(0, min($0, 60))) } ?? 1 << UInt64(batch.attempts)
    batch.attempts += 1
    batch.notBefore = Clock.monotonic() &+ wait &* 1_000_000_000
    state.batch = batch
  }
}
