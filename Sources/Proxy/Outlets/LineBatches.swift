/// One worker's lines: a chunk that is being filled for each outlet, handed over when it is full or has waited long enough.
struct LineBatches {
  private var open: [(outlet: any LineOutlet, chunk: LineChunk)] = []
  /// When the lines that wait are to be handed over, CLOCK_MONOTONIC; nil when none waits.
  private(set) var deadline: UInt64?

  /// Adds a line.
  ///
  /// - Parameter write: Writes it; called again, with an empty chunk, when it did not fit.
  mutating func append(to outlet: any LineOutlet, now: UInt64, _ write: (inout HeadWriter) -> Void) {
    for _ in 0..<2 {
      guard let place = place(of: outlet) else { return outlet.queue.noteLost() }
      let chunk = open[place].chunk
      var writer = HeadWriter(chunk.memory + chunk.count, capacity: LineChunk.capacity - chunk.count)
      write(&writer)
      if !writer.hasOverflown {
        chunk.count += writer.count
        chunk.lines += 1
        if deadline == nil { deadline = now &+ AccessLog.patience }
        return
      }
      guard chunk.lines > 0 else { break }
      open.remove(at: place)
      outlet.hand(over: chunk)
    }
    outlet.queue.noteLost()
  }

  private mutating func place(of outlet: any LineOutlet) -> Int? {
    if let known = open.firstIndex(where: { $0.outlet === outlet }) { return known }
    guard let chunk = outlet.queue.take() else { return nil }
    open.append((outlet, chunk))
    return open.count - 1
  }

  @inline(__always)
  mutating func flushIfDue(now: UInt64) {
    if let deadline, now >= deadline { flush() }
  }

  /// Hands over what waits.
  mutating func flush() {
    deadline = nil
    for (outlet, chunk) in open {
      if chunk.lines > 0 { outlet.hand(over: chunk) } else { outlet.queue.giveBack(chunk) }
    }
    open.removeAll(keepingCapacity: true)
  }
}

extension LineOutlet {
  fileprivate func hand(over chunk: LineChunk) {
    queue.submit(chunk)
    thread.wake()
  }
}
