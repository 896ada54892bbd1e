#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A client's TCP connection and the one to its server. Messages have their length before them (RFC 1035, 4.2.2); ids
/// stay as they are, since both connections are this client's alone.
final class DNSStream {
  let number: UInt64
  let client: SocketAddress
  let server: SocketAddress
  let clientFD: Int32
  var serverFD: Int32 = -1
  var fromClient: [UInt8] = []
  var toClient: [UInt8] = []
  var fromServer: [UInt8] = []
  var toServer: [UInt8] = []
  var exchanges: [UInt16: DNSExchange] = [:]
  var activeAt: UInt64
  /// The client will say no more.
  var isHalfClosed = false

  /// Octets that may wait for a side; more is not read until they are gone.
  static let maximumWaiting = 256 * 1024

  init(number: UInt64, socket: AcceptedSocket, now: UInt64) {
    self.number = number
    client = socket.client
    server = socket.server
    clientFD = socket.fd
    activeAt = now
  }

  func close() {
    Glibc.close(clientFD)
    if serverFD >= 0 { Glibc.close(serverFD) }
  }

  /// Takes the first whole message out of what was received; nil while it is not complete.
  static func message(_ received: inout [UInt8]) -> [UInt8]? {
    guard received.count >= 2 else { return nil }
    let length = Int(received[0]) << 8 | Int(received[1])
    guard received.count >= 2 + length else { return nil }
    defer { received.removeFirst(2 + length) }
    return Array(received[2..<(2 + length)])
  }

  static func append(_ message: [UInt8], to waiting: inout [UInt8]) {
    waiting.append(UInt8(message.count >> 8 & 0xFF))
    waiting.append(UInt8(message.count & 0xFF))
    waiting += message
  }
}
