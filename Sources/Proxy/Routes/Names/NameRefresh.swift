import Addressing
import Logging
import Synchronization
import Threads

/// Resolves the names that clusters ask for, each again and again for as long as one does. A lookup blocks a thread of its own,
/// and a failure changes nothing: what a name was resolved to last holds on.
final class NameRefresh: Sendable {
  struct Update: Sendable {
    let query: NameQuery
    let addresses: [IPAddress]
  }

  /// What names are resolved to, whenever that is something else.
  let updates: AsyncStream<Update>
  private let found: AsyncStream<Update>.Continuation
  private let logger: Logger
  private let lookup: @Sendable (NameQuery) -> NameAnswer
  private struct Follower {
    let task: Task<Void, Never>
    /// Whether there was an answer, or none to be had.
    var isSettled = false
  }
  private let followers = Mutex<[NameQuery: Follower]>([:])
  private let slots = LookupSlots()

  init(logger: Logger, lookup: @escaping @Sendable (NameQuery) -> NameAnswer) {
    self.logger = logger
    self.lookup = lookup
    (updates, found) = AsyncStream.makeStream()
  }

  /// Asks for these names from now on, and for no others. Lives on for as long as there are any.
  func want(_ queries: Set<NameQuery>) {
    followers.withLock { followers in
      for (query, follower) in followers where !queries.contains(query) {
        follower.task.cancel()
        followers[query] = nil
      }
      for query in queries where followers[query] == nil {
        followers[query] = Follower(task: Task { await self.follow(query) })
      }
    }
  }

  /// Whether each name has been resolved, or failed to be.
  var isSettled: Bool { followers.withLock { $0.values.allSatisfy(\.isSettled) } }

  /// Resolves one name until the task is cancelled.
  private func follow(_ query: NameQuery) async {
    var schedule = NameSchedule(query.resolution)
    var known: [IPAddress]?
    var problem: String?
    while !Task.isCancelled {
      let answer = await resolve(query)
      guard !Task.isCancelled else { return }
      var isAnswered = false
      switch answer {
      case .addresses(let addresses):
        isAnswered = true
        problem = nil
        // Many servers change the order with each answer, which says nothing about a set of endpoints.
        if known.map(Set.init) != Set(addresses) { found.yield(Update(query: query, addresses: addresses)) }
        known = addresses
      case .failure(let reason):
        if reason != problem { warn(query, reason, hasAnswer: known != nil) }
        problem = reason
      }
      followers.withLock { $0[query]?.isSettled = true }
      let wait = schedule.next(isAnswered: isAnswered, random: .random(in: .min ... .max))
      do { try await Task.sleep(for: wait) } catch { return }
    }
  }

  private func resolve(_ query: NameQuery) async -> NameAnswer {
    await slots.enter()
    let answer = await DetachedThread.run { [lookup] in lookup(query) }
    await slots.leave()
    return answer
  }

  private func warn(_ query: NameQuery, _ reason: String, hasAnswer: Bool) {
    let rest = hasAnswer ? "its last addresses stay in use" : "it has no endpoints"
    logger.warning("\(query.name) can not be resolved, \(rest): \(reason)")
  }
}

/// How many lookups block a thread at once.
private actor LookupSlots {
  private var free = 16
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func enter() async {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  func leave() {
    if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
  }
}
