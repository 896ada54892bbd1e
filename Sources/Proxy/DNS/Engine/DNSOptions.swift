/// How the DNS engine runs.
public struct DNSOptions: Sendable {
  /// For a server to answer; after that the client hears nothing, as without a proxy, and asks again.
  public var timeout: Duration = .seconds(5)
  /// Between two queries of a TCP connection (RFC 7766, 6.2.3).
  public var idle: Duration = .seconds(30)
  /// Queries that wait for an answer; those beyond it are answered SERVFAIL.
  public var maximumQueries = 16384
  /// As above, of one client address, so that one pod can not take all of them.
  public var maximumQueriesOfClient = 4096
  public var maximumStreams = 1024
  public var accessSink = AccessSink.none

  public init() {}
}

/// What the DNS engine has done since its start.
public struct DNSStatistics: Hashable, Sendable {
  public var queries: UInt64 = 0
  public var denied: UInt64 = 0
  public var malformed: UInt64 = 0
  public var answers: UInt64 = 0
  /// Datagrams that answer no question: late ones, and those of somebody who guesses.
  public var unexpectedAnswers: UInt64 = 0
  public var timeouts: UInt64 = 0
  /// Queries answered SERVFAIL: too many at once, or a server that can not be reached or not be understood.
  public var failures: UInt64 = 0
  public var lostRecords: UInt64 = 0
}

final class DNSCounters: Sendable {
  let queries = Counter()
  let denied = Counter()
  let malformed = Counter()
  let answers = Counter()
  let unexpectedAnswers = Counter()
  let timeouts = Counter()
  let failures = Counter()

  func statistics(lostRecords: UInt64) -> DNSStatistics {
    DNSStatistics(
      queries: queries.current, denied: denied.current, malformed: malformed.current, answers: answers.current,
      unexpectedAnswers: unexpectedAnswers.current, timeouts: timeouts.current, failures: failures.current,
      lostRecords: lostRecords)
  }
}
