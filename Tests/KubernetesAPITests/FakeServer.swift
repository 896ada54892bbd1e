import Glibc
import JSON
import Synchronization

/// An HTTP/1.1 server on a loopback port, whose answers the test writes byte by byte.
final class FakeServer: Sendable {
  struct Request: Sendable {
    let method: String
    let target: String
    let headers: [String: String]
    let body: String
  }

  /// The answer to one request, in pieces. The connection ends when the handler returns.
  struct Answer: Sendable {
    let descriptor: Int32

    func write(_ text: String) {
      var bytes = Array(text.utf8)[...]
      while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count > 0 else { return }
        bytes = bytes.dropFirst(count)
      }
    }

    func json(_ value: JSONValue, code: Int = 200) {
      let body = value.text()
      write(
        "HTTP/1.1 \(code) X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
      )
    }

    func startChunks() {
      write(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
    }

    func chunk(_ text: String) { write("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n") }
    func endChunks() { write("0\r\n\r\n") }

    func event(_ type: String, _ object: JSONValue) {
      chunk((["type": .string(type), "object": object] as JSONValue).text() + "\n")
    }

    /// Keeps the connection open until the client closes it.
    func waitForClient() {
      var byte: UInt8 = 0
      while recv(descriptor, &byte, 1, 0) > 0 {}
    }
  }

  let port: UInt16
  private let listener: Int32
  private let log = Mutex<[Request]>([])

  var requests: [Request] { log.withLock { $0 } }
  var url: String { "http://127.0.0.1:\(port)" }

  /// `handler` gets the number of the request, from 0, and runs on a thread of its own.
  init(_ handler: @escaping @Sendable (Int, Request, Answer) -> Void) {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        precondition(bind(listener, pointer, length) == 0 && listen(listener, 16) == 0)
        precondition(getsockname(listener, pointer, &length) == 0)
      }
    }
    self.listener = listener
    port = UInt16(bigEndian: address.sin_port)
    FakeServer.thread { [weak self] in
      while true {
        let descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        FakeServer.thread { [weak self] in
          defer { close(descriptor) }
          guard let request = FakeServer.read(descriptor), let self else { return }
          let number = self.log.withLock { log in
            log.append(request)
            return log.count - 1
          }
          handler(number, request, Answer(descriptor: descriptor))
        }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  private static func read(_ descriptor: Int32) -> Request? {
    var bytes: [UInt8] = []
    func fill() -> Bool {
      var buffer = [UInt8](repeating: 0, count: 65536)
      let count = recv(descriptor, &buffer, buffer.count, 0)
      bytes += buffer.prefix(max(count, 0))
      return count > 0
    }
    while true {
      let text = String(decoding: bytes, as: UTF8.self)
      if let end = text.firstRange(of: "\r\n\r\n") {
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
          let parts = line.split(separator: ": ", maxSplits: 1)
          headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1]) : ""
        }
        let body = text[end.upperBound...]
        if body.utf8.count >= Int(headers["content-length"] ?? "0") ?? 0 {
          let words = lines[0].split(separator: " ")
          return Request(method: String(words[0]), target: String(words[1]), headers: headers, body: String(body))
        }
      }
      guard fill() else { return nil }
    }
  }

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private static func thread(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(Body(body)).toOpaque())
    pthread_detach(thread)
  }
}
