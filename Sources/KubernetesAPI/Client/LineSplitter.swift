/// Cuts a stream of bytes into lines, wherever its pieces begin and end.
struct LineSplitter {
  private var buffer: [UInt8] = []
  private var start = 0
  /// Bytes before this index hold no line break.
  private var searched = 0
  let maximumLine: Int

  init(maximumLine: Int = 64 << 20) { self.maximumLine = maximumLine }

  mutating func append(_ bytes: some Sequence<UInt8>) {
    if start > 0 {
      buffer.removeFirst(start)
      searched -= start
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next whole line, without its break; nil until one is there. Blank lines are skipped.
  mutating func next() -> ArraySlice<UInt8>? {
    while let end = buffer[searched...].firstIndex(of: 0x0A) {
      let line = buffer[start..<end]
      start = end + 1
      searched = start
      if line.contains(where: { $0 != 0x0D && $0 != 0x20 }) { return line }
    }
    searched = buffer.count
    return nil
  }

  /// What came after the last line break.
  var rest: ArraySlice<UInt8> { buffer[start...] }

  var isTooLong: Bool { buffer.count - start > maximumLine }
}
