import HTTP2

@testable import Proxy

/// One end of an HTTP/2 connection, as plain as a test wants it: it says what it is told to, be it wrong or right.
final class HTTP2Peer: @unchecked Sendable {
  // Sendable: as the socket under it, it is used by one thread at a time.
  let socket: TestSocket
  private var decoder = HPACKDecoder()
  private var encoder = HPACKEncoder()
  private var list = HeaderList(limit: 1 << 20)

  struct Frame: Equatable {
    var type: UInt8
    var flags: UInt8
    var stream: UInt32
    var payload: [UInt8]
    /// Of HEADERS.
    var fields: [String: String] = [:]

    var endsStream: Bool { flags & 1 != 0 && type <= 1 }
    var text: String { String(decoding: payload, as: UTF8.self) }
    /// Of RST_STREAM and, with the number of the last stream before it, of GOAWAY.
    var code: UInt32 { payload.suffix(from: type == 7 ? 4 : 0).prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
  }

  init(_ socket: TestSocket) { self.socket = socket }

  deinit {
    decoder.deallocate()
    encoder.deallocate()
    list.deallocate()
  }

  // MARK: Saying

  /// The preface and settings of a client, as pairs of number and value.
  convenience init(client socket: TestSocket, settings: [(UInt16, UInt32)] = []) {
    self.init(socket)
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    self.settings(settings)
  }

  /// A server that has read a client's preface.
  convenience init?(server socket: TestSocket, settings: [(UInt16, UInt32)] = []) {
    self.init(socket)
    guard socket.read(through: "SM\r\n\r\n") == "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" else { return nil }
    self.settings(settings)
  }

  func settings(_ values: [(UInt16, UInt32)]) {
    write(4, payload: values.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + Self.octets($0.1) })
  }

  @discardableResult
  func write(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, payload: [UInt8] = []) -> Bool {
    socket.write(Self.frame(type, flags: flags, stream: stream, payload: payload))
  }

  static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, payload: [UInt8] = []) -> [UInt8] {
    let count = payload.count
    return [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags] + octets(stream) + payload
  }

  static func octets(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(number >> (24 - 8 * $0) & 255) } }

  func headers(_ stream: UInt32, _ fields: [(String, String)], end: Bool) {
    write(1, flags: end ? 5 : 4, stream: stream, payload: block(fields))
  }

  func block(_ fields: [(String, String)]) -> [UInt8] {
    list.removeAll()
    for (name, value) in fields {
      Array(name.utf8).withUnsafeBytes { name in
        Array(value.utf8).withUnsafeBytes { list.add(name, $0, indexing: .indexed) }
      }
    }
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: HPACKEncoder.bound(list))
    defer { memory.deallocate() }
    var writer = OctetWriter(memory, capacity: HPACKEncoder.bound(list))
    encoder.encode(list, to: &writer)
    return Array(UnsafeBufferPointer(start: memory, count: writer.count))
  }

  func request(
    _ stream: UInt32, _ path: String, method: String = "GET", _ fields: [(String, String)] = [], end: Bool = true
  ) {
    headers(
      stream, [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")] + fields, end: end)
  }

  func data(_ stream: UInt32, _ text: String, end: Bool = false) { data(stream, Array(text.utf8), end: end) }

  func data(_ stream: UInt32, _ bytes: [UInt8], end: Bool = false) {
    write(0, flags: end ? 1 : 0, stream: stream, payload: bytes)
  }

  func reset(_ stream: UInt32, _ code: UInt32) { write(3, stream: stream, payload: Self.octets(code)) }

  func grow(_ stream: UInt32, _ increment: UInt32) { write(8, stream: stream, payload: Self.octets(increment)) }

  func goAway(_ last: UInt32, _ code: UInt32 = 0) { write(7, payload: Self.octets(last) + Self.octets(code)) }

  // MARK: Hearing

  /// The next frame, whatever it is; nil at the end.
  func readAny() -> Frame? {
    guard let head = socket.read(count: 9) else { return nil }
    let count = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
    guard let payload = socket.read(count: count) else { return nil }
    let number = head[5..<9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    var frame = Frame(type: head[3], flags: head[4], stream: number, payload: payload)
    if frame.type == 1 {
      while frame.flags & 4 == 0 {
        guard let more = readAny(), more.type == 9 else { return nil }
        frame.payload += more.payload
        frame.flags |= more.flags & 4
      }
      guard decoder.decode(frame.payload, count: frame.payload.count, into: &list) == nil else { return nil }
      for index in 0..<list.count {
        frame.fields[String(decoding: list.name(index), as: UTF8.self)] =
          String(decoding: list.value(index), as: UTF8.self)
      }
    }
    return frame
  }

  /// The next frame of a stream, or GOAWAY. SETTINGS are acknowledged; these, PING and WINDOW_UPDATE are passed over.
  func read() -> Frame? {
    while let frame = readAny() {
      if frame.type == 4, frame.flags == 0 { write(4, flags: 1) }
      if frame.type != 4, frame.type != 8, frame.type != 6 { return frame }
    }
    return nil
  }

  /// The next frame of a type.
  func read(_ type: UInt8) -> Frame? {
    while let frame = readAny() {
      if frame.type == 4, frame.flags == 0 { write(4, flags: 1) }
      if frame.type == type { return frame }
    }
    return nil
  }

  struct Response: Equatable {
    var status: String
    var body: String
    var trailers: [String: String] = [:]
  }

  /// A whole response, of a stream that is the only one.
  func response() -> Response? {
    guard let head = read(), head.type == 1, let status = head.fields[":status"] else { return nil }
    var response = Response(status: status, body: "")
    var isOver = head.endsStream
    while !isOver {
      guard let frame = read() else { return nil }
      switch frame.type {
      case 0: response.body += frame.text
      case 1: response.trailers = frame.fields
      default: return nil
      }
      isOver = frame.endsStream
    }
    return response
  }
}

extension TestServer {
  /// An HTTP/2 server that runs a script for each connection.
  static func http2(
    _ host: String = "127.0.0.1", settings: [(UInt16, UInt32)] = [],
    _ script: @escaping @Sendable (HTTP2Peer, Int) -> Void
  ) throws -> TestServer {
    try TestServer(host) { socket, number in
      if let peer = HTTP2Peer(server: socket, settings: settings) { script(peer, number) }
    }
  }

  /// Answers each request when it has ended with its method, path, host and body, and the number of its connection.
  static func http2Echo(_ host: String = "127.0.0.1") throws -> TestServer {
    try http2(host) { peer, number in
      var heads: [UInt32: [String: String]] = [:]
      var bodies: [UInt32: String] = [:]
      while let frame = peer.read() {
        if frame.type == 1, heads[frame.stream] == nil { heads[frame.stream] = frame.fields }
        if frame.type == 0 {
          bodies[frame.stream, default: ""] += frame.text
          if !frame.payload.isEmpty {
            peer.grow(0, UInt32(frame.payload.count))
            if !frame.endsStream { peer.grow(frame.stream, UInt32(frame.payload.count)) }
          }
        }
        guard frame.endsStream, let head = heads[frame.stream] else { continue }
        peer.headers(frame.stream, [(":status", "200"), ("x-server", "echo")], end: false)
        let text = [head[":method"], head[":path"], head[":authority"], bodies[frame.stream], "#\(number)"]
        peer.data(frame.stream, text.compactMap { $0 }.joined(separator: " "), end: true)
      }
    }
  }
}
