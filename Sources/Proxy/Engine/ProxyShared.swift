import ProxyRules

/// What all workers share.
final class ProxyShared: Sendable {
  let resolver: any ConnectionResolver
  let dialer: any UpstreamDialer
  let rules: RuleStore
  let routes: RouteStore
  /// nil: routed requests are denied.
  let judge: (any BackendJudge)?
  let limits: HTTPLimits
  let timeouts: ProxyTimeouts
  let sink: AccessSink
  let drain: Duration
  let listeners: [Int32]
  let mailboxes: [WorkerMailbox]
  /// Who serves what is not HTTP.
  let takers: [RuleKind: any ConnectionTaker]

  init(
    resolver: any ConnectionResolver, dialer: any UpstreamDialer, rules: RuleStore, routes: RouteStore,
    judge: (any BackendJudge)?, options: ProxyOptions,
    listeners: [Int32], mailboxes: [WorkerMailbox], takers: [RuleKind: any ConnectionTaker]
  ) {
    self.takers = takers
    self.resolver = resolver
    self.dialer = dialer
    self.rules = rules
    self.routes = routes
    self.judge = judge
    limits = options.limits
    timeouts = options.timeouts
    sink = options.accessSink
    drain = options.drain
    self.listeners = listeners
    self.mailboxes = mailboxes
  }
}
