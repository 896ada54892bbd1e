import HTTP2
import Routing

/// A request and its response on their way through a session: a trivial type in memory that the worker recycles.
struct HTTP2Stream {
  let connection: ConnectionPointer
  /// Two: what the stream is at the client, and at the server, where its number is 0 while it has none.
  let legs: UnsafeMutablePointer<HTTP2Leg>
  /// Where it stands in its session; below zero: it is not there any more, or not yet.
  var place = -1
  /// The connection for which it stands in the place of a socket; it then is that one's, and has the leg of `role` alone.
  var exchange: ConnectionPointer?
  var role = Role.client
  var input = StreamInput()
  var output = StreamOutput()
  var isHEAD = false
  /// The client has been sent the head of the final response.
  var hasHead = false
  /// The response is complete, or the proxy's own: what is left of the request is dropped.
  var isAnswered = false
  var activeAt: UInt64

  var isDenied = false
  var isAudited = false
  var isEgress = false
  var statusCode: UInt16 = 0
  var failure: StaticString?
  var judgedBy: UInt32 = 0
  var rule: UInt32 = 0
  var mismatches: UInt16 = 0
  var startedAt: UInt64
  var requestOctets: UInt64 = 0
  var responseOctets: UInt64 = 0
  var block: UnsafeMutablePointer<UInt8>?
  var method = ByteRange()
  var path = ByteRange()
  var host = ByteRange()
  var traceID = TraceID.none

  init(_ connection: ConnectionPointer, legs: UnsafeMutablePointer<HTTP2Leg>, now: UInt64) {
    self.connection = connection
    self.legs = legs
    activeAt = now
    startedAt = now
  }

  @inline(__always)
  func leg(_ role: Role) -> UnsafeMutablePointer<HTTP2Leg> { legs + role.rawValue }
}

/// A stream at one of its two ends.
struct HTTP2Leg {
  var number: UInt32 = 0
  var state = StreamState.idle
  var sendWindow: SendWindow
  var receiveWindow = ReceiveWindow(HTTP2Session.streamWindow)
  /// What the message from here said of its body.
  var length = BodyLength()
  /// What came from here and waits for the other end.
  var queue = ChunkQueue()
  /// The message from here has come to its end, which may be waiting too.
  var hasEnded = false
  /// A kept `HeaderList`, to be sent when the queue is empty.
  var trailers: UnsafeMutablePointer<UInt8>?

  init(number: UInt32, sendWindow: UInt32) {
    self.number = number
    self.sendWindow = SendWindow(Int(sendWindow))
  }
}

extension HTTP2Stream: LoggedExchange {
  var clientAddress: SocketAddress { connection.pointee.clientAddress }
  var serverAddress: SocketAddress { connection.pointee.serverAddress }
  var policy: ConnectionPolicy { connection.pointee.policy }
  var isHTTP2: Bool { true }
}
