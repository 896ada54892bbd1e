#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Finds the empty line that ends a head, across any number of reads, looking at each octet once.
///
/// The answer depends on the octets alone, not on how they were split into reads: limits are positions in the message.
struct HeadScanner {
  enum Outcome: Equatable {
    case incomplete
    /// The length of the head with its empty line.
    case complete(length: Int)
    case fault(HTTPFault)
  }

  private var scanned = 0
  private var lineStart = 0
  private var lines = 0

  /// Goes on over `bytes`, which begin with the first octet of the message and have grown since the last call.
  mutating func scan(_ bytes: UnsafePointer<UInt8>, count: Int, limits: HTTPLimits) -> Outcome {
    while true {
      guard let found = memchr(bytes + scanned, Int32(Octet.lineFeed), count &- scanned) else {
        scanned = count
        if lines == 0 && count >= limits.line { return .fault(.targetTooLong) }
        return count >= limits.head ? .fault(.headTooLarge) : .incomplete
      }
      let at = UnsafeRawPointer(found) - UnsafeRawPointer(bytes)
      if lines == 0 && at >= limits.line { return .fault(.targetTooLong) }
      if at >= limits.head { return .fault(.headTooLarge) }
      if at == lineStart || bytes[at &- 1] != Octet.carriageReturn { return .fault(.bareLineFeed) }
      scanned = at &+ 1
      if at &- 1 == lineStart { return .complete(length: scanned) }
      lineStart = scanned
      lines &+= 1
      if lines > limits.fields &+ 1 { return .fault(.tooManyFields) }
    }
  }
}
