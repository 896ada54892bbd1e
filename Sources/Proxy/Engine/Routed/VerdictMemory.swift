import Addressing

/// What a worker has been told about clients and backends, for as long as the policy's revision stays and the addresses mean
/// whom they meant.
struct VerdictMemory {
  private struct Question: Hashable {
    let client: IPAddress
    let server: SocketAddress
  }

  private struct Answer {
    let parties: BackendParties
    let verdict: BackendVerdict
    /// Until when nobody has to be asked whether the parties are still the same.
    var addresses: AddressRevision?
  }

  private var revision: UInt32 = 0
  private var answers: [Question: Answer] = [:]

  /// Answers are kept for so many pairs of client and backend.
  private static let greatestCount = 4096

  /// - Parameters:
  ///   - revision: that of the policy in force, read before all else: an answer at an older one than it is kept for does no
  ///     harm, the other way round it would.
  ///   - addresses: that of the addresses, for which the same holds.
  /// - Returns: the verdict, and whom it is about; nil where nobody can say.
  mutating func verdict(
    client: SocketAddress, server: SocketAddress, revision: UInt32, addresses: AddressRevision?,
    by judge: any BackendJudge
  ) -> (BackendVerdict, BackendParties)? {
    if self.revision != revision {
      self.revision = revision
      answers.removeAll(keepingCapacity: true)
    }
    let question = Question(client: client.address, server: server)
    let known = answers[question]
    if let known, let addresses, known.addresses == addresses { return (known.verdict, known.parties) }
    guard let parties = judge.parties(client: client, server: server) else { return nil }
    if let known, known.parties == parties {
      answers[question]?.addresses = addresses
      return (known.verdict, parties)
    }
    let verdict = judge.judge(client: client, server: server)
    // Else it may be about others than the parties are.
    guard judge.parties(client: client, server: server) == parties else { return (verdict, parties) }
    if answers.count >= VerdictMemory.greatestCount { answers.removeAll(keepingCapacity: true) }
    answers[question] = Answer(parties: parties, verdict: verdict, addresses: addresses)
    return (verdict, parties)
  }
}
