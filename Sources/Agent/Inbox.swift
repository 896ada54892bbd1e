import Synchronization

/// What arrives while its reader is busy is handed over together, so that a burst costs the reader a few turns.
final class Inbox<Element: Sendable>: Sendable {
  private let waiting = Mutex<[Element]>([])
  private let signals: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation

  init() { (signals, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1)) }

  /// Takes in all of `source`; the batches end with it.
  func fill(from source: AsyncStream<Element>) async {
    for await element in source { add(element) }
    finish()
  }

  func add(_ element: Element) {
    waiting.withLock { $0.append(element) }
    wake.yield()
  }

  /// The batches end when those that have come are taken.
  func finish() { wake.finish() }

  /// In the order of their coming; never empty. For one reader.
  func batches() -> some AsyncSequence<[Element], Never> {
    signals.map { [self] _ in take() }.filter { !$0.isEmpty }
  }

  private func take() -> [Element] {
    waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}
