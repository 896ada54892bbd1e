/// What two proxies of a node say to each other while one takes the other's place.
///
/// The successor connects and both say `hello`. If their versions are equal, the incumbent's `hello` brings its listening
/// sockets: TCP and UDP, IPv4 before IPv6. Then:
///
///     successor                                     incumbent
///     has loaded rules and routes      ready    ->  takes no more connections, answers the agent no more
///     takes both up                 <- released
///     serves                         serving    ->  closes its listening sockets
///                                   <- predecessor  for each proxy that still hands its connections to the incumbent
///                                   <- connection   for each connection of a client that comes to rest
///
/// Whoever reads the end of the stream goes on alone: the incumbent takes connections again until it has heard `serving`,
/// the successor serves by the sockets that it has. `withdrawn` is the incumbent's word that it has waited too long.
///
/// Between two versions there are no sockets and no `released`: the successor serves by sockets of its own, then says
/// `ready`, and the incumbent ends its connections as they come to rest. So `hello` and `ready` must stay as they are.
///
/// A message of the stream (SOCK_SEQPACKET) is eight octets: its kind, three of zero, and a number in network byte order.
enum HandoverMessage: Hashable, Sendable {
  /// The sender's version of the protocol.
  case hello(version: UInt32)
  /// Seconds for which the incumbent may go on with what does not come to rest.
  case ready(drain: UInt32)
  case released
  case serving
  /// With the socket of a client.
  case connection
  /// With the stream of an earlier proxy that still sends connections.
  case predecessor
  case withdrawn

  static let version: UInt32 = 1
  static let size = 8

  private var kind: UInt8 {
    switch self {
    case .hello: 1
    case .ready: 2
    case .released: 3
    case .serving: 4
    case .connection: 5
    case .predecessor: 6
    case .withdrawn: 7
    }
  }

  private var number: UInt32 {
    switch self {
    case .hello(let number), .ready(let number): number
    default: 0
    }
  }

  var octets: [UInt8] {
    [kind, 0, 0, 0] + (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * UInt32($0))) }
  }

  /// nil when the octets are no message.
  init?(_ octets: some Collection<UInt8>) {
    let octets = Array(octets)
    guard octets.count == HandoverMessage.size, octets[1...3].allSatisfy({ $0 == 0 }) else { return nil }
    let number = octets[4...].reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
    switch octets[0] {
    case 1: self = .hello(version: number)
    case 2: self = .ready(drain: number)
    case 3 where number == 0: self = .released
    case 4 where number == 0: self = .serving
    case 5 where number == 0: self = .connection
    case 6 where number == 0: self = .predecessor
    case 7 where number == 0: self = .withdrawn
    default: return nil
    }
  }
}

/// Why one proxy can not take the place of another.
public enum HandoverError: Error, Hashable, Sendable, CustomStringConvertible {
  case system(SocketError)
  /// The other proxy has ended, or has closed the stream.
  case ended
  /// Nothing came in time.
  case silent(waitingFor: String)
  /// What came is no message, or one that does not belong there.
  case unexpected(waitingFor: String)
  /// It took the successor too long.
  case withdrawn

  public var description: String {
    switch self {
    case .system(let error): "handover: \(error)"
    case .ended: "handover: the other proxy has ended"
    case .silent(let what): "handover: the other proxy does not say \(what)"
    case .unexpected(let what): "handover: the other proxy says something else than \(what)"
    case .withdrawn: "handover: the proxy before has taken its place again"
    }
  }
}
