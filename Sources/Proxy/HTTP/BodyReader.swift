/// Tells where a message's body ends, whatever its framing, over any split of its octets.
struct BodyReader {
  private var framing: BodyFraming
  private var remaining: UInt64 = 0
  private var chunked = ChunkedReader()
  private var plain: UInt64 = 0

  init(_ framing: BodyFraming = .none) {
    self.framing = framing
    if case .length(let count) = framing { remaining = count }
  }

  /// Whether there is no body.
  var isEmpty: Bool { framing == .none }

  /// What a chunked body has come to; 0 of others.
  var chunkedOctets: UInt64 { chunked.octets }

  /// What the body has come to, without what is around its chunks.
  var octets: UInt64 { plain &+ chunked.octets }

  /// Whether the end of the connection ends the body.
  var endsWithConnection: Bool { framing == .untilClose }

  /// As `ChunkedReader.consume`; a body without octets is complete at once.
  mutating func consume(
    _ bytes: UnsafePointer<UInt8>, count: Int, limits: HTTPLimits, used: inout Int
  ) -> ChunkedReader.Outcome {
    switch framing {
    case .none:
      used = 0
      return .complete
    case .length:
      let take = min(remaining, UInt64(count))
      remaining &-= take
      plain &+= take
      used = Int(take)
      return remaining == 0 ? .complete : .incomplete
    case .chunked:
      return chunked.consume(bytes, count: count, limits: limits, used: &used)
    case .untilClose:
      used = count
      plain &+= UInt64(count)
      return .incomplete
    }
  }
}
