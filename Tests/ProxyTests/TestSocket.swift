import Addressing
import Foundation
import Threads

@testable import Proxy

/// A blocking TCP connection with a time limit, as plain as a test wants it.
final class TestSocket: @unchecked Sendable {
  // Sendable: the descriptor is set once, and the calls on it are the kernel's to order.
  let fd: Int32

  init(adopting fd: Int32) {
    self.fd = fd
    _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK)
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    Proxy.Socket.setNoDelay(fd)
  }

  convenience init(connectingTo address: SocketAddress) {
    let fd = Proxy.Socket.tcp(family: address.address.isIPv4 ? AF_INET : AF_INET6)
    _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK)
    _ = Proxy.Socket.connect(fd, address)
    self.init(adopting: fd)
  }

  deinit { close(fd) }

  private var held: [UInt8] = []

  /// - Returns: whether all was sent.
  @discardableResult
  func write(_ bytes: [UInt8]) -> Bool {
    var at = 0
    while at < bytes.count {
      let count = bytes.withUnsafeBytes { send(fd, $0.baseAddress! + at, bytes.count - at, Int32(MSG_NOSIGNAL)) }
      if count <= 0 { return false }
      at += count
    }
    return true
  }

  @discardableResult
  func write(_ text: String) -> Bool { write(Array(text.utf8)) }

  /// Reads more; false at the end, on an error or when the time is over.
  private func fill() -> Bool {
    var chunk = [UInt8](repeating: 0, count: 65536)
    let count = recv(fd, &chunk, chunk.count, 0)
    if count <= 0 { return false }
    held += chunk[..<count]
    return true
  }

  /// Up to and with `mark`; nil when the stream ends before it.
  func read(through mark: String) -> String? {
    let mark = Array(mark.utf8)
    while true {
      if held.count >= mark.count {
        for at in 0...(held.count - mark.count) where held[at] == mark[0] {
          if held[at..<at + mark.count].elementsEqual(mark) {
            defer { held.removeFirst(at + mark.count) }
            return String(decoding: held[..<(at + mark.count)], as: UTF8.self)
          }
        }
      }
      guard fill() else { return nil }
    }
  }

  func read(count: Int) -> [UInt8]? {
    while held.count < count { guard fill() else { return nil } }
    defer { held.removeFirst(count) }
    return Array(held[..<count])
  }

  /// Reads and forgets; how many octets came before the stream ended.
  func drain(_ count: Int = .max) -> Int {
    var total = min(held.count, count)
    held.removeFirst(total)
    var chunk = [UInt8](repeating: 0, count: 65536)
    while total < count {
      let got = recv(fd, &chunk, min(chunk.count, count - total), 0)
      if got <= 0 { break }
      total += got
    }
    return total
  }

  /// Everything up to the end of the stream.
  func readToEnd() -> String {
    while fill() {}
    defer { held = [] }
    return String(decoding: held, as: UTF8.self)
  }

  func endWriting() { shutdown(fd, Int32(SHUT_WR)) }

  func reset() { Proxy.Socket.resetOnClose(fd) }

  /// A whole message with a length: its head and its body.
  func readMessage() -> (head: String, body: String)? {
    guard let head = read(through: "\r\n\r\n") else { return nil }
    var length = 0
    for line in head.lowercased().split(separator: "\r\n") where line.hasPrefix("content-length:") {
      length = Int(line.dropFirst(15).trimmingCharacters(in: .whitespaces)) ?? 0
    }
    guard let body = read(count: length) else { return nil }
    return (head, String(decoding: body, as: UTF8.self))
  }
}

/// A server of the test: each connection gets a thread that runs the script.
final class TestServer: Sendable {
  let address: SocketAddress
  private let fd: Int32

  init(_ host: String = "127.0.0.1", _ script: @escaping @Sendable (TestSocket, Int) -> Void) throws {
    let listener = try Listener(SocketAddress(IPAddress(host)!, port: 0))
    fd = listener.fd
    address = listener.address
    _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK)
    let fd = fd
    DetachedThread.start {
      var number = 0
      while true {
        var peer: SocketAddress?
        let accepted = Proxy.Socket.accept(fd, peer: &peer)
        if accepted < 0 { return }
        let connection = number
        number += 1
        DetachedThread.start { script(TestSocket(adopting: accepted), connection) }
      }
    }
  }

  deinit { shutdown(fd, Int32(SHUT_RDWR)) }

  /// Answers every request with its own request line and the number of its connection.
  static func echo(_ host: String = "127.0.0.1") throws -> TestServer {
    try TestServer(host) { socket, number in
      while let message = socket.readMessage() {
        let line = message.head.prefix { $0 != "\r\n" }
        let body = "\(line) #\(number) \(message.body)"
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
      }
    }
  }
}
