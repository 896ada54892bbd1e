/// A query that was let through, and waits for its answer.
struct DNSExchange {
  enum Transport: Equatable {
    case datagram
    /// The number of the client's stream.
    case stream(UInt64)
  }

  let client: SocketAddress
  let server: SocketAddress
  let transport: Transport
  /// The socket that the query came by, which answers it when it was addressed itself.
  let listener: Int32
  let query: DNSQuery
  /// The octets of the question.
  let question: [UInt8]
  let policy: ConnectionPolicy
  let judgement: NameJudgement
  /// CLOCK_MONOTONIC.
  let startedAt: UInt64
}
