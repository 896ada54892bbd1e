/// How much a peer lets us send (RFC 9113, 6.9); below zero when it has made the window smaller than what is under way.
public struct SendWindow {
  public private(set) var octets: Int

  public init(_ octets: Int = 65535) { self.octets = octets }

  public mutating func take(_ count: Int) { octets &-= count }

  /// By a WINDOW_UPDATE.
  public mutating func grow(_ increment: UInt32) -> HTTP2Fault? {
    if increment == 0 { return .windowIncrementOfZero }
    guard octets &+ Int(increment) <= 0x7FFF_FFFF else { return .windowTooLarge }
    octets &+= Int(increment)
    return nil
  }

  /// By a change of SETTINGS_INITIAL_WINDOW_SIZE.
  public mutating func adjust(_ difference: Int) -> HTTP2Fault? {
    guard octets &+ difference <= 0x7FFF_FFFF else { return .windowTooLarge }
    octets &+= difference
    return nil
  }
}

/// How much we let a peer send. It is given back as octets leave, half a window at a time.
public struct ReceiveWindow {
  public let size: Int
  private var available: Int
  private var returned = 0

  /// - Parameter size: what the peer was told, in all.
  public init(_ size: Int) {
    self.size = size
    available = size
  }

  /// Octets have come, padding included.
  public mutating func receive(_ count: Int) -> HTTP2Fault? {
    guard count <= available else { return .windowExceeded }
    available &-= count
    return nil
  }

  /// Octets have left.
  /// - Returns: the increment to be told to the peer; 0 for none yet.
  public mutating func giveBack(_ count: Int) -> UInt32 {
    returned &+= count
    guard returned &* 2 >= size else { return 0 }
    let increment = returned
    available &+= increment
    returned = 0
    return UInt32(truncatingIfNeeded: increment)
  }
}
