#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A client's connection and, once its name is allowed, the one to its server.
final class TLSStream {
  enum Phase {
    case hello, connecting, relay
    /// The client was told that it may not; its octets are dropped until it has closed too.
    case refused
  }

  let number: UInt64
  let client: SocketAddress
  let server: SocketAddress
  let clientFD: Int32
  var serverFD: Int32 = -1
  var phase = Phase.hello
  var reader = ClientHelloReader()
  var toServer = TLSRelay()
  var toClient = TLSRelay()
  /// What the client asked for: judged again when policy changes.
  var name: String?
  var policy = ConnectionPolicy.denied
  /// nil until its name is known.
  var judgement: NameJudgement?
  /// The version of the rules by which it was judged.
  var rulesVersion: UInt64 = 0
  let startedAt: UInt64
  var activeAt: UInt64
  var clientInterest: UInt32 = 0
  var serverInterest: UInt32 = 0

  init(number: UInt64, socket: AcceptedSocket, now: UInt64) {
    self.number = number
    client = socket.client
    server = socket.server
    clientFD = socket.fd
    startedAt = now
    activeAt = now
  }

  /// With `resets` neither side can take what it got for all there was.
  func close(resets: Bool) {
    if resets {
      Socket.resetOnClose(clientFD)
      if serverFD >= 0 { Socket.resetOnClose(serverFD) }
    }
    Glibc.close(clientFD)
    if serverFD >= 0 { Glibc.close(serverFD) }
  }
}
