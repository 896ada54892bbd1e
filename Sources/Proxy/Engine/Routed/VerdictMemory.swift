import Addressing

/// What a worker has been told about clients and backends, for as long as the policy's revision stays and the addresses mean
/// whom they meant.
struct VerdictMemory {
  private struct Question: Hashable {
    let client: IPAddress
    let server: SocketAddress
    let parties: BackendParties
  }

  private var revision: UInt32 = 0
  private var answers: [Question: BackendVerdict] = [:]

  /// Answers are kept for so many pairs of client and backend.
  private static let greatestCount = 4096

  /// - Parameters:
  ///   - parties: what `judge` has just said of both.
  ///   - revision: that of the policy in force, read before all else: an answer at an older one than it is kept for does no
  ///     harm, the other way round it would.
  mutating func verdict(
    client: SocketAddress, server: SocketAddress, _ parties: BackendParties, revision: UInt32,
    by judge: any BackendJudge
  ) -> BackendVerdict {
    if self.revision != revision {
      self.revision = revision
      answers.removeAll(keepingCapacity: true)
    }
    let question = Question(client: client.address, server: server, parties: parties)
    if let known = answers[question] { return known }
    let verdict = judge.judge(client: client, server: server)
    // Else it may be about others than the parties are.
    guard judge.parties(client: client, server: server) == parties else { return verdict }
    if answers.count >= VerdictMemory.greatestCount { answers.removeAll(keepingCapacity: true) }
    answers[question] = verdict
    return verdict
  }
}
