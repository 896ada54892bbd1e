import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

// The head's octets are forwarded as the client sent them, but for the two cases here.
extension Worker {
  /// Cuts the Upgrade lines out of the head: over an HTTP/2 connection later requests would pass unjudged. A server
  /// that sees no such line answers in HTTP/1.1 (RFC 9110, 7.8).
  func removeHTTP2Upgrade(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>) {
    for line in fields.lines.reversed() where line.name.equalsIgnoringCase("upgrade", in: bytes) {
      var end = line.value.end
      while bytes[end] != Octet.lineFeed { end &+= 1 }
      cut(c, bytes, from: line.name.start, to: end &+ 1)
    }
    // The ranges of what stood behind the line have moved.
    let length = head.length
    _ = head.parse(bytes, length: length, fields: &fields)
    c.pointee.headCount = 0
  }

  private func cut(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>, from: Int, to: Int) {
    memmove(bytes + from, bytes + to, c.pointee.client.unexamined &- to)
    c.pointee.client.end &-= to &- from
    head.length &-= to &- from
  }

  /// Does what a rule wants done to headers that are not as it says.
  /// - Returns: false when the head no longer fits and was answered 431.
  func rewrite(
    _ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>, rule: UInt32, by recent: RecentMatcher
  ) -> Bool {
    guard let mismatches = recent.matcher?.mismatches(of: rule, in: requestFacts(bytes)), !mismatches.isEmpty else {
      return true
    }
    for mismatch in mismatches where mismatch.index < 16 { c.pointee.mismatches |= 1 << mismatch.index }
    guard mismatches.contains(where: { $0.action != .log }) else { return true }
    let removed = mismatches.filter { $0.action == .delete || $0.action == .replace }.map { Array($0.name.utf8) }
    var new: [UInt8] = []
    var start = 0
    for line in fields.lines {
      var end = line.value.end
      while bytes[end] != Octet.lineFeed { end &+= 1 }
      if removed.contains(where: { Self.equal($0, bytes + line.name.start, line.name.count) }) {
        new.append(contentsOf: UnsafeBufferPointer(start: bytes + start, count: line.name.start - start))
        start = end + 1
      }
    }
    new.append(contentsOf: UnsafeBufferPointer(start: bytes + start, count: head.length - 2 - start))
    for mismatch in mismatches where mismatch.action == .add || mismatch.action == .replace {
      new.append(contentsOf: "\(mismatch.name): \(mismatch.value)\r\n".utf8)
    }
    new.append(contentsOf: [Octet.carriageReturn, Octet.lineFeed])
    return substitute(c, new)
  }

  /// Reads the head again that was rewritten. Returns where it stands now; nil when it was answered 431.
  func parseAgain(_ c: ConnectionPointer) -> UnsafeMutablePointer<UInt8>? {
    guard let base = c.pointee.client.base else { return nil }
    let bytes = base + c.pointee.client.validated
    let length = head.length
    if head.parse(bytes, length: length, fields: &fields) != nil {
      c.pointee.client.start = c.pointee.client.end
      c.pointee.client.validated = c.pointee.client.end
      c.pointee.request = .complete
      respond(c, status: 431, reason: HTTPFault.headTooLarge.reason, closes: true)
      return nil
    }
    return bytes
  }

  private func substitute(_ c: ConnectionPointer, _ new: [UInt8]) -> Bool {
    let rest = c.pointee.client.unexamined - head.length
    c.pointee.client.compact()
    guard let base = c.pointee.client.base, new.count + rest <= Endpoint.capacity + Endpoint.slack else {
      c.pointee.client.start = c.pointee.client.end
      c.pointee.client.validated = c.pointee.client.end
      c.pointee.request = .complete
      respond(c, status: 431, reason: HTTPFault.headTooLarge.reason, closes: true)
      return false
    }
    memmove(base + new.count, base + head.length, rest)
    new.withUnsafeBufferPointer { if let source = $0.baseAddress { memcpy(base, source, $0.count) } }
    c.pointee.client.end = new.count + rest
    head.length = new.count
    // The copy in the block is of the head as it came: good for the record, not for a second attempt.
    c.pointee.headCount = 0
    return true
  }

  private static func equal(_ name: [UInt8], _ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    guard name.count == count else { return false }
    for index in 0..<count where Octet.lowercase(name[index]) != Octet.lowercase(bytes[index]) { return false }
    return true
  }
}
