import Addressing
import Routing

typealias ConnectionPointer = UnsafeMutablePointer<Connection>

enum RequestPhase: UInt8 {
  case head, body
  /// The request waits for its next attempt: nothing is read or sent.
  case paused
  /// The body of a refused request is read and dropped.
  case discard
  /// Nothing more of the client is read until the response is done.
  case complete
  case tunnel
  /// The connection is one of HTTP/2, and all about it its session's.
  case http2
  /// Everything was said; octets are dropped until the client has closed too.
  case linger
  case closed
}

enum ResponsePhase: UInt8 {
  case idle, head, body, complete, tunnel
  /// More of the proxy's own answer is still to be put into the buffer.
  case local
}

/// Everything about one client connection, in memory that the worker recycles. A trivial type: the engine copies and
/// drops it without counting references.
///
/// Two kinds have no client's socket: that of one stream of a routed HTTP/2 connection, which lives as long as the stream,
/// and that whose upstream is an HTTP/2 connection in the pool.
struct Connection {
  var client = Endpoint()
  var upstream = Endpoint()
  var request = RequestPhase.head
  var response = ResponsePhase.idle
  var requestReader = RequestReader()
  var responseReader = ResponseReader()
  var requestBody = BodyReader()
  var responseBody = BodyReader()
  var context = ResponseContext()

  var clientAddress: SocketAddress
  /// Of a routed connection: the backend of the last request that was sent on.
  var serverAddress: SocketAddress
  /// Of a routed connection: what holds between the client and that backend.
  var policy = ConnectionPolicy.denied
  var isResolved = false
  /// Generation of the rules at which `policy` was resolved.
  var generation: UInt64 = 0

  /// The number of its `RoutedConnection`; 0: its requests are not routed.
  var routed: UInt32 = 0
  /// What is read of the request's body is kept for another attempt.
  var isHolding = false

  /// While `request` is `.http2`.
  var http2: SessionPointer?

  // One exchange.
  var hasExchange = false
  var closesAfter = false
  var requestCloses = false
  var responseCloses = false
  var isReplayable = false
  var isDenied = false
  /// It would have been denied, but for audit mode.
  var isAudited = false
  /// The rules are those of the client's egress.
  var isEgress = false
  var sawResponse = false
  var hasForwardedResponse = false
  var sentHalfClose = false
  /// The client's `Connection: close` stays between it and the proxy.
  var hasRemovedClose = false
  var statusCode: UInt16 = 0
  /// Why the proxy itself answered with an error; nil when it did not.
  var failure: StaticString?
  /// The rule set that decided, and its rule; 0 for none.
  var judgedBy: UInt32 = 0
  var rule: UInt32 = 0
  /// Bit i: the request is not as `headerMatches[i]` of the rule says; those from 16 on have none.
  var mismatches: UInt16 = 0
  var startedAt: UInt64 = 0
  var requestOctets: UInt64 = 0
  var responseOctets: UInt64 = 0
  var discarded: UInt64 = 0
  /// Octets that the request's body may have, where it is chunked.
  var maximumBody = UInt64.max
  /// The head of the request (when it fits) for the access record and for a second attempt.
  var block: UnsafeMutablePointer<UInt8>?
  var headCount = 0
  var method = ByteRange()
  var path = ByteRange()
  var host = ByteRange()
  var traceID = TraceID.none

  // The upstream connection.
  var isConnected = false
  var connectStartedAt: UInt64 = 0
  var upstreamRequests: UInt32 = 0
  /// The server is asked from the node's address, as neither end is a pod of this node.
  var dialsAsNode = false
  /// The server's connection is for this client's one alone: credentials were said that hold for all of it.
  var isPrivate = false

  var activeAt: UInt64 = 0
  var headStartedAt: UInt64 = 0
  var isQueued = false
  var previous: ConnectionPointer?
  var next: ConnectionPointer?
  var nextQueued: ConnectionPointer?

  init(client fd: Int32, clientAddress: SocketAddress, serverAddress: SocketAddress, now: UInt64) {
    client.fd = fd
    client.isWritable = true
    self.clientAddress = clientAddress
    self.serverAddress = serverAddress
    activeAt = now
  }
}

extension Connection: LoggedExchange {
  var isHTTP2: Bool { client.stream != nil }
}
