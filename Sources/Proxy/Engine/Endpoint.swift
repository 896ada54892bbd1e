#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One side of a proxied connection: a socket, or a stream of HTTP/2 that takes its place; what is known about it; and the
/// octets read from it that have not left for the other side yet.
///
/// `start..<validated` have been examined and may be sent; `validated..<end` are still to be examined. Most reads go
/// to the worker's scratch memory and leave it at once, so that an idle connection holds no buffer.
struct Endpoint {
  var fd: Int32 = -1
  /// What is read from it and sent to it is HTTP/1 here.
  var stream: StreamPointer?
  /// The server has done nothing with the request, and says so (RFC 9113, 8.7).
  var isRefused = false
  var isReadable = false
  var isWritable = false
  /// A hang-up was announced: a short read no longer means that the socket is empty.
  var isHangingUp = false
  var hasEnded = false
  /// errno of a failed read, 0 for none.
  var failure: Int32 = 0
  var isScratch = false
  var base: UnsafeMutablePointer<UInt8>?
  var start = 0
  var validated = 0
  var end = 0

  /// Octets that are read into a buffer.
  static let capacity = 65536
  /// Room behind them, for what a head gets longer by when it is rewritten.
  static let slack = 16384

  @inline(__always) var isOpen: Bool { fd >= 0 || stream != nil }
  @inline(__always) var pending: Int { validated &- start }
  @inline(__always) var unexamined: Int { end &- validated }

  enum Receipt {
    case octets, nothing, ended, failed
  }

  /// Reads once; memory is there and has room.
  @inline(__always)
  mutating func receive(_ memory: UnsafeMutablePointer<UInt8>) -> Receipt {
    let room = Self.capacity &- end
    let count = Socket.receive(fd, memory + end, room)
    if count > 0 {
      end &+= count
      if count < room && !isHangingUp { isReadable = false }
      return .octets
    }
    isReadable = false
    if count == 0 {
      hasEnded = true
      return .ended
    }
    if count == -Int(EAGAIN) || count == -Int(EINTR) {
      isHangingUp = false
      isReadable = count == -Int(EINTR)
      return .nothing
    }
    hasEnded = true
    failure = Int32(-count)
    return .failed
  }

  /// Moves what is held to the front of the memory.
  mutating func compact() {
    guard let base, start > 0 else { return }
    memmove(base, base + start, end &- start)
    validated &-= start
    end &-= start
    start = 0
  }

  /// Puts `count` octets in the place of the `length` ones from `validated` on, before which nothing waits.
  /// - Returns: false when they do not fit; nothing has changed then.
  mutating func replaceHead(_ length: Int, by new: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    guard let base else { return false }
    let rest = validated &+ length
    if count <= rest {
      start = rest &- count
    } else {
      guard count &+ end &- rest <= Self.capacity &+ Self.slack else { return false }
      memmove(base + count, base + rest, end &- rest)
      end = count &+ end &- rest
      start = 0
    }
    validated = start
    memcpy(base + start, new, count)
    return true
  }

  @inline(__always)
  mutating func clear() {
    start = 0
    validated = 0
    end = 0
  }
}
