/// RFC 9113, 6.
public enum FrameType: UInt8, Sendable {
  case data = 0
  case headers = 1
  case priority = 2
  case resetStream = 3
  case settings = 4
  case pushPromise = 5
  case ping = 6
  case goAway = 7
  case windowUpdate = 8
  case continuation = 9
}

public struct FrameFlags: OptionSet, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Of DATA and HEADERS.
  public static let endStream = FrameFlags(rawValue: 1)
  /// Of SETTINGS and PING.
  public static let acknowledgement = FrameFlags(rawValue: 1)
  public static let endHeaders = FrameFlags(rawValue: 4)
  public static let padded = FrameFlags(rawValue: 8)
  public static let priority = FrameFlags(rawValue: 0x20)
}

/// The nine octets before each frame's payload (RFC 9113, 4.1).
public struct FrameHeader {
  public static let size = 9

  /// Octets of the payload.
  public var length: Int
  /// nil: a type that nobody here knows, and that is passed over.
  public var type: FrameType?
  public var flags: FrameFlags
  /// 0: the connection.
  public var stream: UInt32

  public init(length: Int, type: FrameType, flags: FrameFlags = [], stream: UInt32 = 0) {
    self.length = length
    self.type = type
    self.flags = flags
    self.stream = stream
  }

  /// Reads nine octets.
  public init(_ bytes: UnsafePointer<UInt8>) {
    let raw = UnsafeRawPointer(bytes)
    let first = UInt32(bigEndian: raw.loadUnaligned(as: UInt32.self))
    length = Int(first >> 8)
    type = FrameType(rawValue: UInt8(truncatingIfNeeded: first))
    flags = FrameFlags(rawValue: bytes[4])
    stream = UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: 5, as: UInt32.self)) & 0x7FFF_FFFF
  }

  /// Whether a frame of this length and stream may be, by its header alone (RFC 9113, 4.2 and 6).
  /// - Parameter maximum: SETTINGS_MAX_FRAME_SIZE as the peer was told it.
  public func fault(maximum: Int) -> HTTP2Fault? {
    if length > maximum { return .frameTooLarge }
    switch type {
    case .data, .headers, .pushPromise, .continuation: return stream == 0 ? .frameNeedsStream : nil
    case .priority:
      if stream == 0 { return .frameNeedsStream }
      return length == 5 ? nil : .wrongFrameLength
    case .resetStream:
      if stream == 0 { return .frameNeedsStream }
      return length == 4 ? nil : .wrongFrameLength
    case .settings:
      if stream != 0 { return .frameHasStream }
      if flags.contains(.acknowledgement) { return length == 0 ? nil : .settingsAcknowledgementWithValues }
      return length % 6 == 0 ? nil : .wrongFrameLength
    case .ping:
      if stream != 0 { return .frameHasStream }
      return length == 8 ? nil : .wrongFrameLength
    case .goAway:
      if stream != 0 { return .frameHasStream }
      return length >= 8 ? nil : .wrongFrameLength
    case .windowUpdate: return length == 4 ? nil : .wrongFrameLength
    case nil: return nil
    }
  }
}

/// Where the content of a DATA or HEADERS frame stands in its payload, without padding and priority.
public struct FrameContent {
  public var start = 0
  public var count = 0

  public init() {}

  /// - Parameter payload: `header.length` octets.
  @inline(__always)
  public mutating func find(_ header: FrameHeader, _ payload: UnsafePointer<UInt8>) -> HTTP2Fault? {
    start = 0
    var end = header.length
    if header.flags.contains(.padded) {
      guard header.length > 0 else { return .wrongPadding }
      start = 1
      end &-= Int(payload[0])
    }
    if header.type == .headers, header.flags.contains(.priority) { start &+= 5 }
    guard start <= end else { return .wrongPadding }
    count = end &- start
    return nil
  }
}
