import ProxyRules

/// What one filter does with a request: for explanations, where time does not matter.
public struct FilterTrial: Hashable, Sendable {
  public let name: String
  /// `rbac`
  public let kind: String
  /// Off, by the listener or by a level of the route.
  public let isDisabled: Bool
  /// `denies it: no policy matches`; empty where it has no part in the request.
  public let effects: [String]
}

/// What all filters of a listener do with a request, without that anything is counted.
public struct FilterTrials: Sendable {
  /// Up to the one that answers, if one does.
  public let trials: [FilterTrial]
  /// As it is behind them.
  public let pass: FilterPass
  public let answer: FilterAnswer?
}

extension FilterChain {
  /// - Parameter now: In nanoseconds, of the clock that tokens come by.
  public func trials(_ result: RouteResult, _ request: RequestView, now: UInt64) -> FilterTrials {
    // This number is of no part of the requests but all of them.
    let random: UInt64 = 999_999
    var pass = self.pass(result, isTrial: true)
    var answer: FilterAnswer?
    running: while true {
      switch pass.run(request, now: now, random: { random }) {
      case .proceed: break running
      case .wait: continue
      case .answer(let given):
        answer = given
        break running
      }
    }
    let seen = steps.prefix(answer.map { $0.place + 1 } ?? steps.count)
    return FilterTrials(
      trials: seen.map { step in
        let isDisabled = pass.isDisabled(step)
        return FilterTrial(
          name: step.filter.name, kind: step.filter.kind.word, isDisabled: isDisabled,
          effects: isDisabled ? [] : pass.effects(step, request, answer))
      },
      pass: pass, answer: answer)
  }
}

extension FilterPass {
  fileprivate func effects(_ step: FilterChain.Step, _ request: RequestView, _ answer: FilterAnswer?) -> [String] {
    let answers = answer.map { chain.steps[$0.place] === step } ?? false
    switch choice?.filterConfig(step.filter.name) ?? step.compiled {
    case .headerMutation:
      let counts = mutationCounts(step)
      return counts == (0, 0)
        ? [] : ["has \(counts.request) changes for the request's headers, and \(counts.response) for the response's"]
    case .cors:
      if answers { return ["answers the preflight request"] }
      return origin(at: step).map { ["\(String(decoding: $0, as: UTF8.self)) may read the answer"] } ?? []
    case .accessControl(let access):
      return request.with(edits) { request in
        (access.rules.map { [$0.words(request, isShadow: false)] } ?? [])
          + (access.shadowRules.map { [$0.words(request, isShadow: true)] } ?? [])
      }
    case .fault(let fault):
      guard request.with(edits, { fault.concerns($0, cluster: choice?.clusterName(request)) }) else { return [] }
      return fault.fault.words
    case .rateLimit(let limiter): return limiter.limit.words
    case .buffer(let maximum): return maximum.map { ["refuses bodies of more than \($0) bytes"] } ?? []
    }
  }
}

extension CompiledRules {
  fileprivate func words(_ request: RequestView, isShadow: Bool) -> String {
    let policy = policy(for: request)
    let verb =
      allows(request) ? (isShadow ? "would allow it" : "allows it") : (isShadow ? "would deny it" : "denies it")
    let why = policy.map { "by the policy \"\($0)\"" } ?? "no policy matches"
    return "\(verb): \(why)" + (asksForAddresses ? "; the connection's addresses are not known here" : "")
  }
}

extension Fraction {
  fileprivate var words: String {
    numerator >= denominator ? "all requests" : "\(numerator) in \(denominator) requests"
  }
}

extension Fault {
  fileprivate var words: [String] {
    var words: [String] = []
    if let delay, delay.part.numerator > 0 {
      let time = delay.duration.map { "\($0)" } ?? "as long as x-envoy-fault-delay-request says"
      words.append("has \(delay.part.words) wait \(time)")
    }
    if let abort, abort.part.numerator > 0 {
      let status = abort.status.map { "\($0)" } ?? "the status of x-envoy-fault-abort-request"
      words.append("answers \(abort.part.words) with \(status)")
    }
    return words
  }
}

extension RateLimit {
  fileprivate var words: [String] {
    guard let bucket, enabled.numerator > 0 else { return [] }
    let tokens = "\(bucket.fill) requests in \(bucket.interval), up to \(bucket.capacity) at once"
    let refused = enforced.numerator > 0 ? "\(enforced.words) beyond them with \(status)" : "none beyond them"
    return ["lets through \(tokens); refuses \(refused)"]
  }
}
