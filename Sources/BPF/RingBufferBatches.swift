import Glibc

extension RingBuffer {
  /// How a sequence of batches learns of new records.
  public enum Wakeup: Sendable, Hashable {
    /// The kernel signals; least delay, one wake-up for each record that finds the reader asleep.
    case signalled
    /// Look this often; no cost for the program that writes.
    case every(Duration)
  }

  /// The records as they come, decoded by `transform`, which sees each record's bytes during its call only and drops
  /// a record by returning nil. The ring itself is the only queue: a slow reader fills it, and the program sees that.
  ///
  /// ```swift
  /// for try await batch in ring.batches(wakeup: .every(.milliseconds(10)), of: { $0.loadUnaligned(as: Event.self) }) {
  ///   for event in batch { … }
  /// }
  /// ```
  public func batches<Element: Sendable>(
    wakeup: Wakeup = .signalled, atMost limit: Int = 1024,
    of transform: @escaping @Sendable (UnsafeRawBufferPointer) -> Element?
  ) -> RingBufferBatches<Element> {
    RingBufferBatches(ring: self, wakeup: wakeup, limit: limit, transform: transform)
  }
}

/// Batches of decoded records, none of them empty. Ends when its task is cancelled.
public struct RingBufferBatches<Record: Sendable>: AsyncSequence, Sendable {
  let ring: RingBuffer
  let wakeup: RingBuffer.Wakeup
  let limit: Int
  let transform: @Sendable (UnsafeRawBufferPointer) -> Record?

  public func makeAsyncIterator() -> Iterator { Iterator(sequence: self) }

  public struct Iterator: AsyncIteratorProtocol {
    let sequence: RingBufferBatches

    public func next() async throws -> [Record]? {
      while !Task.isCancelled {
        var batch: [Record] = []
        sequence.ring.consume(atMost: sequence.limit) { record in
          if let element = sequence.transform(record) { batch.append(element) }
        }
        if !batch.isEmpty { return batch }
        do {
          switch sequence.wakeup {
          case .every(let interval): try await Task.sleep(for: interval)
          case .signalled: try await Readiness.shared.wait(forInput: sequence.ring.fileDescriptor)
          }
        } catch is CancellationError {
          return nil
        }
      }
      return nil
    }
  }
}
