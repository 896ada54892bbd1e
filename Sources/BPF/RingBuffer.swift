import CLibBPF
import CLinux
import Glibc
import Synchronization

/// The reading end of a BPF_MAP_TYPE_RINGBUF. One process reads a ring; within it, any thread may, one at a time.
///
/// Reading is cheap: no system call and no copy for a record. Whether to sleep until the kernel signals or to look on a timer is the
/// caller's choice; with a timer the program may submit with BPF_RB_NO_WAKEUP and pays nothing for each event.
public final class RingBuffer: Sendable {
  private let map: RawMap
  private let memory: Memory
  /// Where the next record starts. The kernel's copy follows it.
  private let position: Mutex<UInt64>

  /// The two mappings of linux/bpf.h: the consumer's page, then the producer's page and the data twice.
  private struct Memory: Sendable {
    // Mapped for the life of the ring; the kernel orders access by the positions.
    nonisolated(unsafe) let consumer: UnsafeMutableRawPointer
    nonisolated(unsafe) let producer: UnsafeMutableRawPointer
    let page: Int
    let size: Int

    var data: UnsafeMutableRawPointer { producer + page }
  }

  public init(_ map: RawMap) throws(BPFError) {
    guard map.info.type == .ringBuffer else {
      throw BPFError(call: "mmap", errno: EINVAL, detail: "\(map.label) is a \(map.info.type), not a ring buffer")
    }
    let page = Int(getpagesize())
    let size = Int(map.info.maxEntries)
    let consumer = mmap(nil, page, PROT_READ | PROT_WRITE, MAP_SHARED, map.fileDescriptor, 0)
    guard let consumer, consumer != MAP_FAILED else {
      throw BPFError(call: "mmap", errno: errno, detail: map.label)
    }
    let producer = mmap(nil, page + 2 * size, PROT_READ, MAP_SHARED, map.fileDescriptor, page)
    guard let producer, producer != MAP_FAILED else {
      let number = errno
      munmap(consumer, page)
      throw BPFError(call: "mmap", errno: number, detail: map.label)
    }
    self.map = map
    memory = Memory(consumer: consumer, producer: producer, page: page, size: size)
    position = Mutex(clinux_load_acquire_u64(consumer))
  }

  deinit {
    munmap(memory.consumer, memory.page)
    munmap(memory.producer, memory.page + 2 * memory.size)
  }

  /// For poll(2) and epoll(7): readable when there are records.
  public var fileDescriptor: Int32 { map.fileDescriptor }

  /// Bytes that wait to be read, of the ring's ``capacity``.
  public var pendingBytes: Int {
    Int(clinux_load_acquire_u64(memory.producer) &- clinux_load_acquire_u64(memory.consumer))
  }

  public var capacity: Int { memory.size }

  /// Hands over the records that are complete, in order, and gives their room back to the kernel.
  ///
  /// The buffer given to `body` is valid during that call only, and `body` must not read the ring itself. A record counts as read
  /// also when `body` throws for it.
  /// - Returns: the number of records.
  @discardableResult
  public func consume(
    atMost limit: Int = .max, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) rethrows -> Int {
    try position.withLock { position in
      var count = 0
      // Once for the batch rather than for each record: the line is shared with the kernel. But soon enough that
      // a long batch does not keep a full ring full.
      var released = position
      defer { clinux_store_release_u64(memory.consumer, position) }
      var end = clinux_load_acquire_u64(memory.producer)
      while count < limit {
        if position == end {
          end = clinux_load_acquire_u64(memory.producer)
          if position == end { break }
        }
        let header = memory.data + Int(position & UInt64(memory.size - 1))
        let length = clinux_load_acquire_u32(header)
        if length & UInt32(BPF_RINGBUF_BUSY_BIT) != 0 { break }
        let bytes = Int(length & ~UInt32(BPF_RINGBUF_DISCARD_BIT))
        position &+= UInt64((bytes + Int(BPF_RINGBUF_HDR_SZ) + 7) & ~7)
        if length & UInt32(BPF_RINGBUF_DISCARD_BIT) != 0 { continue }
        count += 1
        try body(UnsafeRawBufferPointer(start: header + Int(BPF_RINGBUF_HDR_SZ), count: bytes))
        if position &- released >= UInt64(memory.size / 8) {
          released = position
          clinux_store_release_u64(memory.consumer, position)
        }
      }
      return count
    }
  }

  /// Blocks the calling thread until there are records or the time is over; false for the latter.
  public func wait(atMost timeout: Duration) throws(BPFError) -> Bool {
    let (seconds, attoseconds) = timeout.components
    var descriptor = pollfd(fd: fileDescriptor, events: Int16(POLLIN), revents: 0)
    let milliseconds = Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    let result = poll(&descriptor, 1, milliseconds)
    if result < 0, errno != EINTR { throw BPFError(call: "poll", errno: errno, detail: map.label) }
    return result > 0
  }
}
