import ProxyRules

/// What becomes of a request at the filters.
public enum FilterOutcome: Sendable {
  /// It goes on to its route, with the edits of the pass.
  case proceed
  /// It waits, and then goes on where it was.
  case wait(Duration)
  case answer(FilterAnswer)
}

/// An answer of a filter's.
public struct FilterAnswer: Sendable {
  public let response: LocalResponse
  /// The answer's own headers.
  let headers: HeaderEdits
  /// Those that follow the route's.
  let additions: HeaderMutations
  /// The route's changes of headers are for this answer too.
  let takesRouteHeaders: Bool
  public let reason: StaticString
  /// The place of the filter.
  public let place: Int
}

/// What the filters of a listener do with one exchange: with the request in their order, with the response in reverse.
public struct FilterPass: Sendable {
  public let chain: FilterChain
  /// The request's route, which the filters do not change.
  public let result: RouteResult
  /// How they have changed the request's headers.
  public private(set) var edits = HeaderEdits()
  /// The most octets that the request's body may have; nil for any number.
  public private(set) var maximumBody: UInt32?
  private let isTrial: Bool
  /// The filter that is next to see the request.
  private var place = 0
  /// It has waited at that filter.
  private var hasWaited = false
  /// Origins that may read the response, with the places of the filters that say so.
  private var origins: [(place: Int, origin: [UInt8])] = []
  /// The place of the filter that limits the body.
  private var limitPlace = 0

  init(_ chain: FilterChain, _ result: RouteResult, isTrial: Bool) {
    self.chain = chain
    self.result = result
    self.isTrial = isTrial
  }

  var choice: RouteChoice? {
    if case .route(let choice) = result { choice } else { nil }
  }

  /// - Parameters:
  ///   - request: As it came.
  ///   - now: In nanoseconds, of a clock that only goes forward.
  ///   - random: For parts of all requests.
  public mutating func run(_ request: RequestView, now: UInt64, random: () -> UInt64) -> FilterOutcome {
    while place < chain.steps.count {
      let step = chain.steps[place]
      if !isDisabled(step), let outcome = run(step, request, now, random) { return outcome }
      place += 1
      hasWaited = false
    }
    return .proceed
  }

  func isDisabled(_ step: FilterChain.Step) -> Bool {
    choice?.isDisabled(step.filter.name) ?? step.filter.isDisabled
  }

  private func note(_ event: FilterEvent) {
    if !isTrial { chain.steps[place].counters.add(event) }
  }

  /// The request has a larger body than it may.
  public func noteTooLarge() {
    if !isTrial { chain.steps[limitPlace].counters.add(.tooLarge) }
  }

  private func answer(
    _ status: UInt16, _ body: String, _ reason: StaticString, headers: HeaderEdits = HeaderEdits(),
    additions: HeaderMutations = .none, takesRouteHeaders: Bool = true
  ) -> FilterOutcome {
    .answer(
      FilterAnswer(
        response: LocalResponse(status: status, location: nil, body: Array(body.utf8), path: nil), headers: headers,
        additions: additions, takesRouteHeaders: takesRouteHeaders, reason: reason, place: place))
  }

  // MARK: The request

  /// nil: on to the next one.
  private mutating func run(
    _ step: FilterChain.Step, _ request: RequestView, _ now: UInt64, _ random: () -> UInt64
  ) -> FilterOutcome? {
    let name = step.filter.name
    switch choice?.filterConfig(name) ?? step.compiled {
    case .headerMutation:
      var context = self.context(request)
      forEachMutation(step) { $0.applyToRequest(&context) }
      edits = context.request.edits
      return nil
    case .cors: return request.with(edits) { share(step, $0, random) }
    case .accessControl(let access): return request.with(edits) { judge(access, $0) }
    case .fault(let fault): return request.with(edits) { disturb(fault, $0, random) }
    case .rateLimit(let limiter): return limit(limiter, request, now, random)
    case .buffer(let maximum):
      if let maximum, maximumBody.map({ maximum < $0 }) ?? true {
        maximumBody = maximum
        limitPlace = place
      }
      return nil
    }
  }

  private func context(_ request: RequestView) -> TemplateContext {
    var context = TemplateContext(request, routeName: choice?.route.name ?? "")
    context.request.edits = edits
    context.cluster = choice?.clusterName(request).map { Array($0.utf8) } ?? []
    return context
  }

  /// The filter's own rules, then those of the route's levels.
  private func forEachMutation(_ step: FilterChain.Step, _ body: (CompiledMutations) -> Void) {
    guard case .headerMutation(let own, let mostSpecificWins) = step.compiled else { return }
    body(own)
    let levels = choice?.filterConfigs(step.filter.name) ?? []
    for level in mostSpecificWins ? levels.reversed() : levels {
      if case .headerMutation(let mutations, _) = level { body(mutations) }
    }
  }

  /// How many changes of headers a filter has for the request and for its response.
  func mutationCounts(_ step: FilterChain.Step) -> (request: Int, response: Int) {
    var counts = (request: 0, response: 0)
    forEachMutation(step) { mutations in
      counts.request += mutations.counts.request
      counts.response += mutations.counts.response
    }
    return counts
  }

  /// The origin that may read the response, by a filter's word.
  func origin(at step: FilterChain.Step) -> [UInt8]? { origins.first { chain.steps[$0.place] === step }?.origin }

  private func policies(_ step: FilterChain.Step) -> CorsPolicies {
    // Nothing but what a cluster answers is shared.
    guard let choice, case .forward = choice.route.action else { return CorsPolicies(levels: []) }
    return CorsPolicies(
      levels: choice.filterConfigs(step.filter.name).compactMap {
        if case .cors(let policy) = $0 { policy } else { nil }
      })
  }

  private static let origin = Array("origin".utf8)

  private mutating func share(
    _ step: FilterChain.Step, _ request: RequestView, _ random: () -> UInt64
  ) -> FilterOutcome? {
    let policies = policies(step)
    let isEnabled = policies.isEnabled(random)
    guard isEnabled || policies.isShadowed(random) else { return nil }
    let origin = request.withHeader(FilterPass.origin, skipsEmpty: true) { $0.map { Array($0) } ?? [] }
    guard !origin.isEmpty else { return nil }
    let isAllowed = origin.withUnsafeBytes(policies.allows)
    note(isAllowed ? .originAllowed : .originRefused)
    guard isEnabled else { return nil }
    if isAllowed { origins.append((place, origin)) }
    guard CorsPolicies.isPreflight(request), isAllowed || !policies.forwardsOthers else { return nil }
    note(.preflightAnswered)
    return answer(
      200, "", "the answer to a preflight request",
      headers: policies.preflight(request, origin: isAllowed ? origin : nil), takesRouteHeaders: false)
  }

  private func judge(_ access: CompiledAccess, _ request: RequestView) -> FilterOutcome? {
    if let rules = access.shadowRules { note(rules.allows(request) ? .shadowAllowed : .shadowDenied) }
    guard let rules = access.rules else { return nil }
    if rules.allows(request) {
      note(.allowed)
      return nil
    }
    note(.denied)
    return answer(403, "RBAC: access denied", "the listener's rbac filter denies the request")
  }

  private mutating func disturb(
    _ fault: CompiledFault, _ request: RequestView, _ random: () -> UInt64
  ) -> FilterOutcome? {
    guard fault.concerns(request, cluster: choice?.clusterName(request)) else { return nil }
    if !hasWaited, let delay = fault.delay(request, random) {
      hasWaited = true
      note(.delayed)
      return .wait(delay)
    }
    guard let status = fault.abort(request, random) else { return nil }
    note(.aborted)
    return answer(status, fault.fault.abort?.body ?? "fault filter abort", "a fault of the listener's fault filter")
  }

  private mutating func limit(
    _ limiter: CompiledRateLimit, _ request: RequestView, _ now: UInt64, _ random: () -> UInt64
  ) -> FilterOutcome? {
    let limit = limiter.limit
    guard limit.enabled.contains(random()) else { return nil }
    if limiter.hasToken(now: now, takes: !isTrial) {
      note(.withinLimit)
      return nil
    }
    guard limit.enforced.contains(random()) else {
      note(.limitedInShadow)
      var context = self.context(request)
      context.applyToRequest(limit.requestHeaders)
      edits = context.request.edits
      return nil
    }
    note(.limited)
    return answer(
      limit.status, "local_rate_limited", "the listener's limit of requests is reached",
      additions: limit.responseHeaders)
  }

  // MARK: The response

  /// Whether the filters change the headers of responses to this request.
  public var changesResponses: Bool {
    if !origins.isEmpty { return true }
    return chain.steps.contains { step in
      guard case .headerMutation = step.compiled, !isDisabled(step) else { return false }
      var changes = false
      forEachMutation(step) { changes = changes || $0.changesResponses }
      return changes
    }
  }

  /// Changes a response as the filters do, the last one first.
  func apply(to response: inout EditedHeaders, _ context: TemplateContext) {
    for place in chain.steps.indices.reversed() {
      let step = chain.steps[place]
      guard !isDisabled(step) else { continue }
      switch step.compiled {
      case .headerMutation: forEachMutation(step) { $0.apply(to: &response, context) }
      case .cors:
        guard let origin = origin(at: step) else { continue }
        policies(step).apply(to: &response, origin: origin)
      default: continue
      }
    }
  }
}

extension FilterPass {
  /// The headers of a filter's answer.
  public func edits(_ request: RequestView, _ answer: FilterAnswer) -> HeaderEdits {
    var context = TemplateContext(request, routeName: choice?.route.name ?? "")
    context.request.edits = edits
    var headers = EditedHeaders.none
    headers.edits = answer.headers
    if answer.takesRouteHeaders, let choice, case .forward = choice.route.action { choice.apply(to: &headers, context) }
    // They do not see the answer's headers.
    headers.apply(answer.additions) { template, _ in context.text(template) }
    apply(to: &headers, context)
    return headers.edits
  }

  /// The headers of an answer of the proxy's own to a request that has no route.
  public func edits(_ request: RequestView) -> HeaderEdits {
    var context = TemplateContext(request, routeName: "")
    context.request.edits = edits
    var headers = EditedHeaders.none
    apply(to: &headers, context)
    return headers.edits
  }
}
