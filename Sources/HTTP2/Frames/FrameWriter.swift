/// Frames as they are sent.
extension OctetWriter {
  public static var preface: StaticString { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" }

  @inline(__always)
  public mutating func put(_ header: FrameHeader) {
    put(header, at: count)
  }

  /// Octets of text, such as the preface.
  public mutating func put(_ text: StaticString) { put(text.utf8Start, text.utf8CodeUnitCount) }

  @inline(__always)
  private mutating func put(_ header: FrameHeader, at: Int) {
    guard let place = reserve(FrameHeader.size) else { return }
    Self.write(header, to: place)
  }

  @inline(__always)
  private static func write(_ header: FrameHeader, to place: UnsafeMutablePointer<UInt8>) {
    let raw = UnsafeMutableRawPointer(place)
    let first = UInt32(truncatingIfNeeded: header.length) << 8 | UInt32(header.type?.rawValue ?? 0xFF)
    raw.storeBytes(of: first.bigEndian, as: UInt32.self)
    place[4] = header.flags.rawValue
    raw.storeBytes(of: header.stream.bigEndian, toByteOffset: 5, as: UInt32.self)
  }

  /// A frame of DATA; `length` octets, at most 16384.
  @inline(__always)
  public mutating func putData(stream: UInt32, _ bytes: UnsafePointer<UInt8>, _ length: Int, endStream: Bool) {
    put(FrameHeader(length: length, type: .data, flags: endStream ? .endStream : [], stream: stream))
    put(bytes, length)
  }

  /// A header section as HEADERS and, where one frame does not hold it, CONTINUATIONs. There must be room for
  /// `headersBound`.
  public mutating func putHeaders(
    stream: UInt32, _ list: HeaderList, _ encoder: inout HPACKEncoder, endStream: Bool
  ) {
    let start = count
    guard reserve(FrameHeader.size) != nil else { return }
    encoder.encode(list, to: &self)
    guard !hasOverflown else { return }
    let length = count &- start &- FrameHeader.size
    let end: FrameFlags = endStream ? .endStream : []
    guard length > Self.maximumPayload else {
      return Self.write(
        FrameHeader(length: length, type: .headers, flags: end.union(.endHeaders), stream: stream), to: base + start)
    }
    split(start, length, stream, end)
  }

  /// Most octets that the frames of a list take.
  public static func headersBound(_ size: Int) -> Int {
    size &+ 16 &+ (size / maximumPayload &+ 2) &* FrameHeader.size
  }

  /// What every peer takes (RFC 9113, 4.2); no larger frame is ever sent.
  public static var maximumPayload: Int { 16384 }

  /// Makes room between the parts of a block that is too long for one frame, from its end on.
  private mutating func split(_ start: Int, _ length: Int, _ stream: UInt32, _ end: FrameFlags) {
    let parts = (length &+ Self.maximumPayload &- 1) / Self.maximumPayload
    guard reserve((parts &- 1) &* FrameHeader.size) != nil else { return }
    for part in (0..<parts).reversed() {
      let from = start &+ FrameHeader.size &+ part &* Self.maximumPayload
      let octets = min(Self.maximumPayload, length &- part &* Self.maximumPayload)
      let to = from &+ part &* FrameHeader.size
      if part > 0 {
        (base + to).update(from: base + from, count: octets)
      }
      let isLast = part == parts &- 1
      var flags: FrameFlags = isLast ? .endHeaders : []
      if part == 0 { flags.formUnion(end) }
      Self.write(
        FrameHeader(length: octets, type: part == 0 ? .headers : .continuation, flags: flags, stream: stream),
        to: base + to - FrameHeader.size)
    }
  }

  public mutating func putReset(stream: UInt32, code: UInt32) {
    put(FrameHeader(length: 4, type: .resetStream, stream: stream))
    put32(code)
  }

  /// - Parameter increment: 1 to 2^31 - 1.
  public mutating func putWindowUpdate(stream: UInt32, increment: UInt32) {
    put(FrameHeader(length: 4, type: .windowUpdate, stream: stream))
    put32(increment)
  }

  /// - Parameter octets: the eight of the PING.
  public mutating func putPingAcknowledgement(_ octets: UnsafePointer<UInt8>) {
    put(FrameHeader(length: 8, type: .ping, flags: .acknowledgement))
    put(octets, 8)
  }

  public mutating func putSettingsAcknowledgement() {
    put(FrameHeader(length: 0, type: .settings, flags: .acknowledgement))
  }

  public mutating func putSettings(_ settings: KeyValuePairs<Setting, UInt32>) {
    put(FrameHeader(length: settings.count &* 6, type: .settings))
    for (setting, value) in settings {
      put(UInt8(truncatingIfNeeded: setting.rawValue >> 8))
      put(UInt8(truncatingIfNeeded: setting.rawValue))
      put32(value)
    }
  }

  /// - Parameter reason: debug data, for whoever reads the peer's log.
  public mutating func putGoAway(lastStream: UInt32, code: HTTP2ErrorCode, reason: StaticString = "") {
    put(FrameHeader(length: 8 &+ reason.utf8CodeUnitCount, type: .goAway))
    put32(lastStream)
    put32(code.rawValue)
    put(reason.utf8Start, reason.utf8CodeUnitCount)
  }
}
