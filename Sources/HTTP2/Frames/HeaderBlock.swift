#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A header block that comes in more than one frame (RFC 9113, 6.10), put together in memory that the caller lends.
public struct HeaderBlock {
  public private(set) var memory: UnsafeMutablePointer<UInt8>?
  public private(set) var count = 0
  public private(set) var stream: UInt32 = 0
  /// Of its HEADERS frame.
  public private(set) var flags: FrameFlags = []
  private var frames = 0

  /// CONTINUATION frames of one block: 64 of full size are a megabyte, so more only come from who splits for the sake of it.
  public static let maximumFrames = 64

  public init() {}

  /// Whether a block is open: nothing but its continuation may come.
  @inline(__always)
  public var isOpen: Bool { memory != nil }

  public mutating func begin(_ header: FrameHeader, in memory: UnsafeMutablePointer<UInt8>) {
    self.memory = memory
    stream = header.stream
    flags = header.flags
    count = 0
    frames = 0
  }

  /// - Parameter limit: octets of the whole block; `memory` holds as many.
  public mutating func add(_ bytes: UnsafePointer<UInt8>, _ length: Int, limit: Int) -> HTTP2Fault? {
    guard let memory else { return .unexpectedContinuation }
    frames &+= 1
    guard frames <= Self.maximumFrames else { return .tooManyContinuations }
    guard length <= limit &- count else { return .headerBlockTooLarge }
    memcpy(memory + count, bytes, length)
    count &+= length
    return nil
  }

  /// Whether a frame may come now.
  @inline(__always)
  public func fault(_ header: FrameHeader) -> HTTP2Fault? {
    guard isOpen else { return header.type == .continuation ? .unexpectedContinuation : nil }
    return header.type == .continuation && header.stream == stream ? nil : .expectedContinuation
  }

  /// Ends the block.
  /// - Returns: the memory, which is the caller's again.
  public mutating func end() -> UnsafeMutablePointer<UInt8>? {
    defer { memory = nil }
    return memory
  }
}
