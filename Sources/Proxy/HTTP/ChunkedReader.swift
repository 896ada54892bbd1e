/// Follows the chunked coding (RFC 9112, 7.1) over any split of its octets without keeping or changing them.
struct ChunkedReader {
  enum Outcome: Equatable {
    case incomplete
    case complete
    case fault(HTTPFault)
  }

  private enum State: UInt8 {
    case sizeStart, size, extensionStart, extensionPart, quoted, quotedPair, sizeLineFeed
    case data, dataReturn, dataLineFeed
    case trailerStart, trailerName, trailerValue, trailerLineFeed, endLineFeed
  }

  private var state = State.sizeStart
  private var digits: UInt8 = 0
  private var isLast = false
  private var remaining: UInt64 = 0
  /// Of the chunks so far, without what is around them.
  private(set) var octets: UInt64 = 0
  private var extensionOctets: UInt32 = 0
  private var trailerOctets: UInt32 = 0
  private var nameIndex: UInt8 = 0
  private var candidates: UInt8 = 0

  /// Takes octets from the front of `bytes`: all of them, or up to the end of the message. `used` is how many were
  /// taken; on a fault, how many good ones stand before it.
  mutating func consume(
    _ bytes: UnsafePointer<UInt8>, count: Int, limits: HTTPLimits, used: inout Int
  ) -> Outcome {
    var at = 0
    defer { used = at }
    while at < count {
      if state == .data {
        let take = min(remaining, UInt64(count &- at))
        at &+= Int(take)
        remaining &-= take
        octets &+= take
        if remaining == 0 { state = .dataReturn }
        continue
      }
      let byte = bytes[at]
      let fault = state.rawValue < State.data.rawValue ? sizeLine(byte, limits) : endOrTrailer(byte, limits)
      if let fault { return .fault(fault) }
      at &+= 1
      if isLast && state == .sizeStart { return .complete }
    }
    return .incomplete
  }

  private mutating func sizeLine(_ byte: UInt8, _ limits: HTTPLimits) -> HTTPFault? {
    switch state {
    case .sizeStart, .size:
      let value = Octet.hexadecimal(byte)
      if value != 255 {
        digits &+= 1
        // Fifteen digits are an exabyte; more would only be there to overflow someone's counter.
        if digits > 15 { return .invalidChunkSize }
        remaining = remaining << 4 | UInt64(value)
        state = .size
        return nil
      }
      if state == .sizeStart { return .invalidChunkSize }
      if byte == Octet.carriageReturn {
        state = .sizeLineFeed
      } else if byte == UInt8(ascii: ";") {
        return countExtension(limits, next: .extensionStart)
      } else {
        return .invalidChunkSize
      }
    case .extensionStart:
      if byte == Octet.space || byte == Octet.tab { return countExtension(limits, next: .extensionStart) }
      guard Octet.isToken(byte) else { return .invalidChunkExtension }
      return countExtension(limits, next: .extensionPart)
    case .extensionPart:
      if byte == Octet.carriageReturn {
        state = .sizeLineFeed
      } else if byte == UInt8(ascii: ";") {
        return countExtension(limits, next: .extensionStart)
      } else if byte == UInt8(ascii: "\"") {
        return countExtension(limits, next: .quoted)
      } else if Octet.isToken(byte) || byte == UInt8(ascii: "=") || byte == Octet.space || byte == Octet.tab {
        return countExtension(limits, next: .extensionPart)
      } else {
        return .invalidChunkExtension
      }
    case .quoted:
      if byte == UInt8(ascii: "\"") { return countExtension(limits, next: .extensionPart) }
      guard Octet.isFieldValue(byte) else { return .invalidChunkExtension }
      return countExtension(limits, next: byte == UInt8(ascii: "\\") ? .quotedPair : .quoted)
    case .quotedPair:
      guard Octet.isFieldValue(byte) else { return .invalidChunkExtension }
      return countExtension(limits, next: .quoted)
    default:
      guard byte == Octet.lineFeed else { return .bareCarriageReturn }
      digits = 0
      if remaining == 0 {
        isLast = true
        state = .trailerStart
      } else {
        state = .data
      }
    }
    return nil
  }

  private mutating func countExtension(_ limits: HTTPLimits, next: State) -> HTTPFault? {
    extensionOctets &+= 1
    if extensionOctets > limits.chunkExtensions { return .chunkExtensionsTooLarge }
    state = next
    return nil
  }

  private mutating func endOrTrailer(_ byte: UInt8, _ limits: HTTPLimits) -> HTTPFault? {
    switch state {
    case .dataReturn:
      guard byte == Octet.carriageReturn else { return .invalidChunkEnd }
      state = .dataLineFeed
      return nil
    case .dataLineFeed:
      guard byte == Octet.lineFeed else { return .invalidChunkEnd }
      state = .sizeStart
      return nil
    case .endLineFeed:
      guard byte == Octet.lineFeed else { return .bareCarriageReturn }
      state = .sizeStart
      return nil
    default:
      trailerOctets &+= 1
      return trailerOctets > limits.trailers ? .trailersTooLarge : trailer(byte)
    }
  }

  private mutating func trailer(_ byte: UInt8) -> HTTPFault? {
    switch state {
    case .trailerStart:
      if byte == Octet.carriageReturn {
        state = .endLineFeed
        return nil
      }
      guard Octet.isToken(byte) else { return .invalidTrailer }
      nameIndex = 0
      candidates = 0b111
      compareName(byte)
      state = .trailerName
    case .trailerName:
      if byte == Octet.colon {
        guard !isForbiddenName else { return .invalidTrailer }
        state = .trailerValue
        return nil
      }
      guard Octet.isToken(byte) else { return .invalidTrailer }
      compareName(byte)
    case .trailerValue:
      if byte == Octet.carriageReturn {
        state = .trailerLineFeed
      } else if !Octet.isFieldValue(byte) {
        return .invalidTrailer
      }
    default:
      guard byte == Octet.lineFeed else { return .bareCarriageReturn }
      state = .trailerStart
    }
    return nil
  }

  // A recipient that merges trailers into the head must not find framing or routing there (RFC 9110, 6.5.1).
  private static let forbidden: (StaticString, StaticString, StaticString) =
    ("content-length", "transfer-encoding", "host")

  @inline(__always)
  private mutating func compareName(_ byte: UInt8) {
    let letter = Octet.lowercase(byte)
    func keep(_ name: StaticString, _ bit: UInt8) {
      if nameIndex >= name.utf8CodeUnitCount || name.utf8Start[Int(nameIndex)] != letter { candidates &= ~bit }
    }
    keep(Self.forbidden.0, 1)
    keep(Self.forbidden.1, 2)
    keep(Self.forbidden.2, 4)
    if nameIndex < .max { nameIndex &+= 1 }
  }

  private var isForbiddenName: Bool {
    (candidates & 1 != 0 && nameIndex == 14) || (candidates & 2 != 0 && nameIndex == 17)
      || (candidates & 4 != 0 && nameIndex == 4)
  }
}
