import HTTP2

typealias SessionPointer = UnsafeMutablePointer<HTTP2Session>
typealias StreamPointer = UnsafeMutablePointer<HTTP2Stream>

/// The two ends that a session talks to, as places of what it has for each.
enum Role: Int {
  case client = 0
  case server = 1

  @inline(__always) var other: Role { self == .client ? .server : .client }
}

/// A client's HTTP/2 connection and the one to its server, with the streams that go through: a trivial type in memory that
/// the worker recycles. Sockets and what was read from them are the `Connection`'s.
///
/// Frames are handled whole, and only while what they make the proxy say has room in the buffers of both sides. So a side
/// that does not read stops the other one from being read, by TCP; and a stream that does not get on is held by its window
/// alone, which is given back as its octets leave: what waits here is never more than the windows.
///
/// A session may also have one of the two ends alone, and carry `Connection`s: each of its streams then stands in the place of
/// a socket of one.
struct HTTP2Session {
  let connection: ConnectionPointer
  /// The end that there is, of a session that carries connections.
  let carried: Role?
  /// Two.
  let sides: UnsafeMutablePointer<HTTP2Side>
  /// The streams that live, in no order, and their numbers: those at the client first, then those at the server.
  let streams: UnsafeMutablePointer<StreamPointer>
  let numbers: UnsafeMutablePointer<UInt32>
  var count = 0
  /// Whose queue is looked at first.
  var turn = 0
  /// Streams that the client gave up, or that had to be given up for what it sent.
  var resets = Budget.resets
  /// The last streams that were reset towards the client: what it had sent by then is passed over (RFC 9113, 5.4.2).
  let recentResets: UnsafeMutablePointer<UInt32>
  var nextReset = 0
  /// Streams of the client above this one are not served: it was told so.
  var lastServed = UInt32.max
  /// Nothing is read any more; the connection ends when all is said.
  var isClosing = false
  /// The server's connection is lost: what its streams are told, one after the other.
  var failure: (status: Int, reason: StaticString)?
  /// What the client was last told.
  var streamLimit = HTTP2Session.maximumStreams
  /// Carried streams that wait for room or for a window, and how often room was made for them.
  var blockedCount = 0
  var round: UInt32 = 0
  /// Since when the client owes the rest of a frame, or its settings; 0: it owes nothing.
  var owesSince: UInt64 = 0

  /// Streams at once.
  static let maximumStreams = 128
  /// Octets that may wait of one stream, and of all streams of a side.
  static let streamWindow = 262_144
  static let window = 1_048_576
  static let recentCount = 64

  init(_ connection: ConnectionPointer, carrying carried: Role?, reusing other: HTTP2Session?) {
    self.connection = connection
    self.carried = carried
    sides = other?.sides ?? .allocate(capacity: 2)
    streams = other?.streams ?? .allocate(capacity: Self.maximumStreams)
    numbers = other?.numbers ?? .allocate(capacity: 2 * Self.maximumStreams)
    recentResets = other?.recentResets ?? .allocate(capacity: Self.recentCount)
    recentResets.initialize(repeating: 0, count: Self.recentCount)
    let raw = UnsafeMutableRawPointer(connection)
    for (role, offset) in [(Role.client, Self.clientOffset), (Role.server, Self.serverOffset)] {
      let side = HTTP2Side(
        (raw + offset).assumingMemoryBound(to: Endpoint.self), reusing: other?.sides[role.rawValue])
      (sides + role.rawValue).initialize(to: side)
    }
  }

  private static let clientOffset = MemoryLayout<Connection>.offset(of: \.client) ?? 0
  private static let serverOffset = MemoryLayout<Connection>.offset(of: \.upstream) ?? 0

  func deallocate() {
    for role in 0..<2 {
      sides[role].decoder.deallocate()
      sides[role].encoder.deallocate()
    }
    sides.deallocate()
    streams.deallocate()
    numbers.deallocate()
    recentResets.deallocate()
  }

  @inline(__always)
  func side(_ role: Role) -> UnsafeMutablePointer<HTTP2Side> { sides + role.rawValue }

  /// The stream with a number at one side.
  @inline(__always)
  func stream(_ number: UInt32, _ role: Role) -> StreamPointer? {
    let known = numbers + role.rawValue &* Self.maximumStreams
    for index in 0..<count where known[index] == number { return streams[index] }
    return nil
  }

  mutating func add(_ stream: StreamPointer) {
    stream.pointee.place = count
    streams[count] = stream
    numbers[count] = stream.pointee.legs[0].number
    numbers[Self.maximumStreams &+ count] = 0
    count &+= 1
  }

  /// Notes the stream's number at the server; 0: it has none any more.
  mutating func setServerNumber(_ stream: StreamPointer, _ number: UInt32) {
    stream.pointee.legs[1].number = number
    numbers[Self.maximumStreams &+ stream.pointee.place] = number
  }

  mutating func remove(_ stream: StreamPointer) {
    let place = stream.pointee.place
    count &-= 1
    guard place < count else { return }
    streams[place] = streams[count]
    streams[place].pointee.place = place
    for role in 0..<2 { numbers[role &* Self.maximumStreams &+ place] = numbers[role &* Self.maximumStreams &+ count] }
  }

  mutating func noteReset(_ number: UInt32) {
    recentResets[nextReset] = number
    nextReset = (nextReset &+ 1) % Self.recentCount
  }

  func wasReset(_ number: UInt32) -> Bool {
    for index in 0..<Self.recentCount where recentResets[index] == number { return true }
    return false
  }
}

/// What a session has for one of its two connections.
struct HTTP2Side {
  /// In the `Connection`: socket, readiness and octets read.
  let endpoint: UnsafeMutablePointer<Endpoint>
  var decoder: HPACKDecoder
  var encoder: HPACKEncoder
  /// What the peer said.
  var settings = PeerSettings()
  var hasSettings = false
  /// How much may be sent and received over all streams.
  var sendWindow = SendWindow()
  var receiveWindow = ReceiveWindow(HTTP2Session.window)
  var block = HeaderBlock()
  /// The last stream that was opened.
  var lastStream: UInt32 = 0
  var idleFrames = Budget.idleFrames
  /// Octets of streams that came from here and wait for the other side.
  var queued = 0
  /// What is to be sent: nil when there is nothing.
  var out: UnsafeMutablePointer<UInt8>?
  var outStart = 0
  var outEnd = 0

  init(_ endpoint: UnsafeMutablePointer<Endpoint>, reusing other: HTTP2Side?) {
    self.endpoint = endpoint
    decoder = other?.decoder ?? HPACKDecoder()
    encoder = other?.encoder ?? HPACKEncoder()
    decoder.reset()
    encoder.reset()
  }
}
