extension DFA {
  /// Whether some pattern matches all that was read on the way to `state`.
  public func isAccepting(_ state: State) -> Bool { accepts.span[index(of: state)] != 0 }

  /// Whether no pattern can match any more, whatever follows.
  public func isDead(_ state: State) -> Bool { state.row == 0 }

  /// The index, in ``acceptSets``, of the patterns that match all that was read on the way to `state`.
  public func acceptSetIndex(of state: State) -> Int { Int(accepts.span[index(of: state)]) }

  /// The ids, sorted, of the patterns that match all that was read on the way to `state`.
  public func matches(_ state: State) -> [UInt32] { acceptSets[acceptSetIndex(of: state)] }

  /// Reads one byte.
  public func step(_ state: State, _ byte: UInt8) -> State {
    let index = Int(state.row) + Int(classes.map.span[Int(byte)])
    return State(row: narrow.isEmpty ? wide.span[index] : UInt32(narrow.span[index]))
  }

  /// Reads bytes.
  public func step(_ state: State, _ bytes: UnsafeRawBufferPointer) -> State {
    if narrow.isEmpty {
      State(row: DFA.run(wide.span, classes.map.span, state.row, bytes))
    } else {
      State(row: DFA.run(narrow.span, classes.map.span, state.row, bytes))
    }
  }

  /// Reads bytes.
  public func step(_ state: State, _ bytes: RawSpan) -> State {
    bytes.withUnsafeBytes { step(state, $0) }
  }

  /// Whether some pattern matches all of the text.
  public func matchesFully(_ bytes: UnsafeRawBufferPointer) -> Bool { isAccepting(step(start, bytes)) }

  /// Whether some pattern matches all of the text's UTF-8.
  public func matchesFully(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { matchesFully(UnsafeRawBufferPointer($0)) }
  }

  /// Whether some pattern matches all of the text.
  public func matchesFully(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { matchesFully($0) } }

  private func index(of state: State) -> Int { Int(state.row >> rowShift) }

  /// The loop that everything is about. The checks that `Span` would make are left out: rows come from the table, which
  /// only `init` writes, and the map of classes has 256 entries.
  @inline(__always)
  private static func run<Row: FixedWidthInteger & UnsignedInteger>(
    _ table: Span<Row>, _ classes: Span<UInt8>, _ row: UInt32, _ bytes: UnsafeRawBufferPointer
  ) -> UInt32 {
    var row = Int(row)
    for byte in bytes {
      if row == 0 { return 0 }
      row = Int(truncatingIfNeeded: table[unchecked: row + Int(classes[unchecked: Int(byte)])])
    }
    return UInt32(truncatingIfNeeded: row)
  }
}
