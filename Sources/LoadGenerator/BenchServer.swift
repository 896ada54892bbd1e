import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A server that is no bottleneck: one thread, one epoll, the same answer to every request, or every byte sent back.
///
///     let server = try BenchServer(port: 8080, behaviour: .http(bodyBytes: 1024))
///     server.run()
public final class BenchServer {
  public enum Behaviour: Sendable {
    /// Answers each request with 200 and so many bytes; closes when the request says `Connection: close`.
    case http(bodyBytes: Int)
    /// Sends back what comes.
    case echo
  }

  /// The port it listens on; the kernel's choice when 0 was asked for.
  public let port: UInt16
  private let listener: Int32
  private let epoll: Int32
  private let behaviour: Behaviour
  private var kept: [UInt8] = []
  private var last: [UInt8] = []
  /// The beginning of a request whose end has not come, by descriptor.
  private var partial: [Int32: [UInt8]] = [:]
  /// Bytes that the socket did not take, by descriptor; nothing more is read meanwhile.
  private var unwritten: [Int32: [UInt8]] = [:]
  private var closing: Set<Int32> = []

  /// Listens on both families.
  public init(port: UInt16, behaviour: Behaviour) throws(LoadError) {
    self.behaviour = behaviour
    if case .http(let count) = behaviour {
      guard count >= 0 else { throw LoadError("size: \(count) is below 0") }
      let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: \(count)\r\n"
      let body = [UInt8](repeating: 0x78, count: count)
      kept = Array("\(head)\r\n".utf8) + body
      last = Array("\(head)Connection: close\r\n\r\n".utf8) + body
    }
    listener = try LoadSocket.listen(port, flags: Int32(SOCK_NONBLOCK.rawValue))
    self.port = LoadSocket.port(of: listener)
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0, watch(listener) else {
      throw LoadError("can not wait for connections: \(String(cString: strerror(errno)))")
    }
  }

  deinit {
    if listener >= 0 { close(listener) }
    if epoll >= 0 { close(epoll) }
  }

  /// Serves until the process ends.
  public func run() {
    signal(SIGPIPE, SIG_IGN)
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 256)
    defer {
      scratch.deallocate()
      events.deallocate()
    }
    while true {
      let count = clinux_epoll_wait(epoll, events, 256, -1)
      guard count >= 0 || count == -EINTR else { return }
      for index in 0..<max(0, Int(count)) {
        let descriptor = events[index].data.fd
        if descriptor == listener {
          acceptAll()
        } else {
          flush(descriptor)
          if unwritten[descriptor] == nil { receive(descriptor, scratch) }
        }
      }
    }
  }

  private func watch(_ descriptor: Int32) -> Bool {
    var event = epoll_event()
    event.events = UInt32(CLINUX_EPOLL_IN)
    if descriptor != listener { event.events |= UInt32(CLINUX_EPOLL_OUT) | CLINUX_EPOLL_EDGE }
    event.data.fd = descriptor
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0
  }

  private func acceptAll() {
    while true {
      let descriptor = clinux_accept(listener, nil, nil)
      guard descriptor >= 0 else { return }
      var on: Int32 = 1
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      if !watch(descriptor) { close(descriptor) }
    }
  }

  private func receive(_ descriptor: Int32, _ scratch: UnsafeMutableRawBufferPointer) {
    while unwritten[descriptor] == nil {
      let count = recv(descriptor, scratch.baseAddress, scratch.count, 0)
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { return }
      guard count > 0 else { return end(descriptor) }
      let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count])
      switch behaviour {
      case .echo: write(descriptor, bytes)
      case .http: if !answer(descriptor, bytes) { return end(descriptor) }
      }
      if closing.contains(descriptor), unwritten[descriptor] == nil { return end(descriptor) }
      if count < scratch.count { return }
    }
  }

  /// Answers each request that is complete; false for what is none.
  private func answer(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Bool {
    if var begun = partial.removeValue(forKey: descriptor) {
      begun.append(contentsOf: bytes)
      return begun.withUnsafeBytes { answerWhole(descriptor, $0) }
    }
    return answerWhole(descriptor, bytes)
  }

  private func answerWhole(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      guard let head = RequestSketch(rest) else {
        partial[descriptor] = Array(rest)
        return rest.count < 1 << 20
      }
      rest = rest.dropFirst(head.length)
      let response = head.closes ? last : kept
      response.withUnsafeBytes { write(descriptor, $0) }
      if head.closes {
        closing.insert(descriptor)
        return true
      }
    }
    return true
  }

  private func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) {
    guard unwritten[descriptor] == nil else {
      unwritten[descriptor]?.append(contentsOf: bytes)
      return
    }
    let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    let taken = max(0, count)
    if taken < bytes.count { unwritten[descriptor] = Array(bytes[taken...]) }
  }

  private func flush(_ descriptor: Int32) {
    guard let bytes = unwritten.removeValue(forKey: descriptor) else { return }
    bytes.withUnsafeBytes { write(descriptor, $0) }
    if unwritten[descriptor] == nil, closing.contains(descriptor) { end(descriptor) }
  }

  private func end(_ descriptor: Int32) {
    partial[descriptor] = nil
    unwritten[descriptor] = nil
    closing.remove(descriptor)
    close(descriptor)
  }
}
