#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What a server may make of a path that has segments `.` or `..` (RFC 3986, 5.2.4).
///
/// A rule about paths must hold for what was sent and for what it leads to, as nobody here knows which of them the server
/// takes: `/public/../secret` is not public.
enum ResolvedPath {
  /// There is no such segment.
  case asSent
  /// Where the path leads, with its query.
  case elsewhere(UnsafeRawBufferPointer)
  /// Servers differ about it: segments `.` or `..` stand beside encoded dots or slashes, backslashes, parameters or empty
  /// segments.
  case disputed

  /// Calls `body` with what `target`, a path with or without a query, leads to; what it is given ends with the call.
  static func of<Result>(_ target: UnsafeRawBufferPointer, _ body: (ResolvedPath) -> Result) -> Result {
    let path = UnsafeRawBufferPointer(rebasing: target[..<(target.firstIndex(of: UInt8(ascii: "?")) ?? target.count)])
    guard mayHaveDots(path), hasDots(path) else { return body(.asSent) }
    if isDisputed(path) { return body(.disputed) }
    return withUnsafeTemporaryAllocation(byteCount: target.count, alignment: 1) { room in
      let count = resolve(path, into: room)
      let query = UnsafeRawBufferPointer(rebasing: target[path.count...])
      UnsafeMutableRawBufferPointer(rebasing: room[count...]).copyMemory(from: query)
      return body(.elsewhere(UnsafeRawBufferPointer(rebasing: room[..<(count + query.count)])))
    }
  }

  /// Most paths have no dot and nothing encoded.
  private static func mayHaveDots(_ path: UnsafeRawBufferPointer) -> Bool {
    guard let base = path.baseAddress else { return false }
    return memchr(base, Int32(UInt8(ascii: ".")), path.count) != nil
      || memchr(base, Int32(UInt8(ascii: "%")), path.count) != nil
  }

  /// Whether some reader sees a segment `.` or `..`.
  private static func hasDots(_ path: UnsafeRawBufferPointer) -> Bool {
    var dots = 0
    var isOther = false
    var at = 0
    func endsSegment() -> Bool { !isOther && (dots == 1 || dots == 2) }
    while at < path.count {
      var octet = path[at]
      at += 1
      if octet == UInt8(ascii: "%"), let decoded = decoded(path, at) {
        octet = decoded
        at += 2
      }
      switch octet {
      case UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: ";"):
        if endsSegment() { return true }
        // What follows in a segment with parameters is no segment of its own.
        (dots, isOther) = (0, octet == UInt8(ascii: ";"))
      case UInt8(ascii: "."): dots += 1
      default: isOther = true
      }
    }
    return endsSegment()
  }

  private static func isDisputed(_ path: UnsafeRawBufferPointer) -> Bool {
    for (index, octet) in path.enumerated() {
      switch octet {
      case UInt8(ascii: "\\"), UInt8(ascii: ";"): return true
      case UInt8(ascii: "/"): if index > 0, path[index - 1] == octet { return true }
      case UInt8(ascii: "%"):
        switch decoded(path, index + 1) {
        case UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: "%"), UInt8(ascii: ";"): return true
        default: break
        }
      default: break
      }
    }
    return false
  }

  /// The octet that two hexadecimal digits at `at` stand for.
  private static func decoded(_ path: UnsafeRawBufferPointer, _ at: Int) -> UInt8? {
    guard at + 1 < path.count, let high = digit(path[at]), let low = digit(path[at + 1]) else { return nil }
    return high << 4 | low
  }

  private static func digit(_ octet: UInt8) -> UInt8? {
    switch octet {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): octet - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): octet - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): octet - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// Takes the segments `.` and `..` out, these with the segment before them. Returns how many octets are left.
  private static func resolve(_ path: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Int {
    let slash = UInt8(ascii: "/")
    var count = 0
    var at = 0
    while at < path.count {
      // A segment with the slash before it.
      var end = at + 1
      while end < path.count, path[end] != slash { end += 1 }
      let isLast = end == path.count
      let segment = path[at..<end]
      if segment.elementsEqual("/.".utf8) || segment.elementsEqual("/..".utf8) {
        if segment.count == 3 {
          while count > 0 {
            count -= 1
            if room[count] == slash { break }
          }
        }
        if isLast {
          room[count] = slash
          count += 1
        }
      } else {
        for octet in segment {
          room[count] = octet
          count += 1
        }
      }
      at = end
    }
    return count
  }
}
