#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Octets that wait, first come first served, in chunks of a pool's memory.
struct ChunkQueue {
  private struct Header {
    var next: UnsafeMutablePointer<UInt8>?
    var start: Int32
    var end: Int32
  }

  private var first: UnsafeMutablePointer<UInt8>?
  private var last: UnsafeMutablePointer<UInt8>?
  private(set) var count = 0

  /// Octets of a chunk, and so of the pool's buffers.
  static let chunkSize = 16384
  private static let headerSize = MemoryLayout<Header>.size

  /// - Returns: false when the kernel has no memory to give.
  mutating func add(_ bytes: UnsafePointer<UInt8>, _ length: Int, _ pool: inout BufferPool) -> Bool {
    var at = 0
    while at < length {
      guard let chunk = roomyChunk(&pool) else { return false }
      let header = Self.header(chunk)
      let part = min(length &- at, Self.chunkSize &- Int(header.pointee.end))
      memcpy(chunk + Int(header.pointee.end), bytes + at, part)
      header.pointee.end &+= Int32(truncatingIfNeeded: part)
      at &+= part
      count &+= part
    }
    return true
  }

  /// The longest piece at the front.
  @inline(__always)
  var front: UnsafeBufferPointer<UInt8> {
    guard let first else { return UnsafeBufferPointer(start: nil, count: 0) }
    let header = Self.header(first).pointee
    return UnsafeBufferPointer(start: first + Int(header.start), count: Int(header.end &- header.start))
  }

  /// Drops octets of the front piece.
  mutating func drop(_ length: Int, _ pool: inout BufferPool) {
    guard let chunk = first else { return }
    let header = Self.header(chunk)
    header.pointee.start &+= Int32(truncatingIfNeeded: length)
    count &-= length
    guard header.pointee.start == header.pointee.end else { return }
    first = header.pointee.next
    if first == nil { last = nil }
    pool.give(chunk)
  }

  mutating func dropAll(_ pool: inout BufferPool) {
    while first != nil { drop(front.count, &pool) }
  }

  private mutating func roomyChunk(_ pool: inout BufferPool) -> UnsafeMutablePointer<UInt8>? {
    if let last, Int(Self.header(last).pointee.end) < Self.chunkSize { return last }
    guard let chunk = pool.take() else { return nil }
    let start = Int32(truncatingIfNeeded: Self.headerSize)
    Self.header(chunk).initialize(to: Header(next: nil, start: start, end: start))
    if let last { Self.header(last).pointee.next = chunk } else { first = chunk }
    last = chunk
    return chunk
  }

  @inline(__always)
  private static func header(_ chunk: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<Header> {
    UnsafeMutableRawPointer(chunk).assumingMemoryBound(to: Header.self)
  }
}
