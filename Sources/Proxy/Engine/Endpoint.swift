#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One side of a proxied connection: a socket, what epoll said about it, and the octets read from it that have not left
/// for the other side yet.
///
/// `start..<validated` have been examined and may be sent; `validated..<end` are still to be examined. Most reads go
/// to the worker's scratch memory and leave it at once, so that an idle connection holds no buffer.
struct Endpoint {
  var fd: Int32 = -1
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

  static let capacity = 65536

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

  @inline(__always)
  mutating func clear() {
    start = 0
    validated = 0
    end = 0
  }
}
