/// RFC 9113, 6.5.2.
public enum Setting: UInt16, Sendable {
  case headerTableSize = 1
  case enablePush = 2
  case maximumConcurrentStreams = 3
  case initialWindowSize = 4
  case maximumFrameSize = 5
  case maximumHeaderListSize = 6
}

/// What a peer has said about itself; at first what holds before it says anything.
public struct PeerSettings {
  public var headerTableSize: UInt32 = 4096
  public var maximumConcurrentStreams: UInt32 = .max
  public var initialWindowSize: UInt32 = 65535
  public var maximumFrameSize: UInt32 = 16384
  public var maximumHeaderListSize: UInt32 = .max

  public init() {}

  /// Takes the payload of a SETTINGS frame, whose length is a multiple of six. Settings that nobody knows are passed over.
  /// - Parameter isClient: whether the peer is one: only a client may want pushes.
  public mutating func apply(_ payload: UnsafePointer<UInt8>, count: Int, isClient: Bool) -> HTTP2Fault? {
    let raw = UnsafeRawPointer(payload)
    var at = 0
    while at &+ 6 <= count {
      let number = UInt16(bigEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt16.self))
      let value = UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: at &+ 2, as: UInt32.self))
      at &+= 6
      switch Setting(rawValue: number) {
      case .headerTableSize: headerTableSize = value
      case .enablePush:
        guard value == 0 || (value == 1 && isClient) else { return .wrongSetting }
      case .maximumConcurrentStreams: maximumConcurrentStreams = value
      case .initialWindowSize:
        guard value <= 0x7FFF_FFFF else { return .wrongInitialWindow }
        initialWindowSize = value
      case .maximumFrameSize:
        guard value >= 16384, value <= 16_777_215 else { return .wrongSetting }
        maximumFrameSize = value
      case .maximumHeaderListSize: maximumHeaderListSize = value
      case nil: continue
      }
    }
    return nil
  }
}
