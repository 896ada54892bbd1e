/// How far what came on a carried stream has been read, as HTTP/1.
struct StreamInput {
  enum Framing: UInt8 { case none, length, chunked, untilClose }

  /// Octets at the front of the stream's queue that are of a head, and are read as they are. Behind them stands the body.
  var head = 0
  var framing = Framing.none
  /// The end of the message has been read.
  var isOver = false
  /// Nothing more will come of a message that has not ended: errno, else 0.
  var failure: Int32 = 0
}

/// How far what is sent to a carried stream, as HTTP/1, has become frames.
struct StreamOutput {
  enum Part: UInt8 {
    case head
    /// A body as it is.
    case octets
    case chunkSize, chunkExtension, chunkData, chunkEnd, trailers
    case over
  }

  var part = Part.head
  /// Octets that are still to come of the body, or of the chunk.
  var rest: UInt64 = 0
  /// The body ends with the exchange.
  var isUntilClose = false
  /// The request is of HTTP/1.0, which knows no chunks.
  var isHTTP10 = false
  /// It waits for room or for a window.
  var isBlocked = false
  /// Octets of bodies that it has had in the session's round.
  var round: UInt32 = 0
  var sent = 0
  /// Trailers that have not come whole.
  var trailers: UnsafeMutablePointer<UInt8>?
  var trailerCount = 0
}
