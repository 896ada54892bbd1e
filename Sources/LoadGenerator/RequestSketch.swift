/// As much of an HTTP/1.1 request as the bench server looks at: where it ends and whether it is the connection's last.
struct RequestSketch {
  /// Bytes of head and body.
  let length: Int
  let closes: Bool

  /// Nil while the request is not complete.
  init?(_ bytes: Slice<UnsafeRawBufferPointer>) {
    var lineStart = bytes.startIndex
    var isFirst = true
    var body = 0
    var closes = false
    while let feed = bytes[lineStart...].firstIndex(of: 0x0A) {
      let line = bytes[lineStart..<feed]
      lineStart = feed + 1
      if line.count <= 1, !isFirst {
        let total = lineStart - bytes.startIndex + body
        guard total <= bytes.count else { return nil }
        length = total
        self.closes = closes
        return
      }
      // Only two names matter; their lengths tell them from nearly all others.
      if !isFirst, line.count > 15, let colon = line.prefix(16).firstIndex(of: 0x3A) {
        let name = colon - line.startIndex
        if name == 10 || name == 14 {
          let text = String(decoding: line, as: UTF8.self).lowercased()
          if text.hasPrefix("connection:") { closes = text.contains("close") }
          if text.hasPrefix("content-length:") {
            body = Int(text.dropFirst(15).filter { $0.isNumber }) ?? 0
          }
        }
      }
      isFirst = false
    }
    return nil
  }
}
