#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Buffers of one size for one worker. They are mapped, not allocated, so that what goes back beyond the reserve leaves
/// the process; the last one returned, which is still in the cache, is the next one given.
struct BufferPool {
  let size: Int
  private let reserve: Int
  private var free: UnsafeMutableRawPointer?
  private var freeCount = 0
  private(set) var inUse = 0

  /// - Parameters:
  ///   - size: octets of a buffer, a multiple of the page size.
  ///   - reserve: how many unused buffers are kept.
  init(size: Int, reserve: Int) {
    self.size = size
    self.reserve = reserve
  }

  /// A buffer of undefined content; nil when the kernel has no memory to give.
  mutating func take() -> UnsafeMutablePointer<UInt8>? {
    if let first = free {
      free = first.load(as: UnsafeMutableRawPointer?.self)
      freeCount &-= 1
      inUse &+= 1
      return first.assumingMemoryBound(to: UInt8.self)
    }
    guard let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      mapped != MAP_FAILED
    else { return nil }
    inUse &+= 1
    return mapped.assumingMemoryBound(to: UInt8.self)
  }

  mutating func give(_ buffer: UnsafeMutablePointer<UInt8>) {
    inUse &-= 1
    let raw = UnsafeMutableRawPointer(buffer)
    guard freeCount < reserve else {
      munmap(raw, size)
      return
    }
    raw.storeBytes(of: free, as: UnsafeMutableRawPointer?.self)
    free = raw
    freeCount &+= 1
  }

  mutating func unmapAll() {
    while let first = free {
      free = first.load(as: UnsafeMutableRawPointer?.self)
      munmap(first, size)
    }
    freeCount = 0
  }
}
