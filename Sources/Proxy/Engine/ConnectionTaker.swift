/// An engine for another protocol than HTTP, to which connections are given whose rule set is of its kind.
protocol ConnectionTaker: Sendable {
  /// Takes over the socket. Called on a worker's thread; it must not block.
  func take(_ socket: AcceptedSocket)
}
