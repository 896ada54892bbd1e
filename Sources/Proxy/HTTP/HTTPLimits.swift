/// Bounds of what one message may ask of the proxy's memory.
public struct HTTPLimits: Hashable, Sendable {
  /// Octets of the first line with its end.
  public var line: Int
  /// Octets of the head with its empty line; at most 65536, the size of a buffer.
  public var head: Int
  /// Fields of a head; at most 256.
  public var fields: Int
  /// Octets of all chunk extensions of a message.
  public var chunkExtensions: Int
  /// Octets of a trailer section.
  public var trailers: Int

  public init(
    line: Int = 16384, head: Int = 65536, fields: Int = 128, chunkExtensions: Int = 16384, trailers: Int = 65536
  ) {
    self.line = line
    self.head = min(head, 65536)
    self.fields = min(fields, 256)
    self.chunkExtensions = chunkExtensions
    self.trailers = trailers
  }
}
