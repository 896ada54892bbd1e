import JSON
import ProxyRules
public import Routing

/// What a listener makes of a request, and why: the answer of the table that routes requests, and the words for it.
public struct RouteExplanation: Sendable {
  public enum Outcome: Sendable {
    /// The table has no virtual host for the request's authority.
    case noHost
    /// The virtual host is only for TLS.
    case redirectToTLS(LocalResponse)
    /// None of the virtual host's routes is for the request.
    case noRoute
    /// The proxy answers itself.
    case answer(LocalResponse)
    /// A filter of the listener's answers.
    case filtered(LocalResponse, by: String)
    /// One of these gets the request.
    case forward([RouteDestination])
  }

  public let question: RouteQuestion
  public let listener: RoutedListener
  public let host: HostMatch?
  /// Of the virtual host's routes, in their order.
  public let trials: [RouteTrial]
  /// The route that was chosen.
  public let route: RouteTrial?
  /// The route of the requests that a fraction leaves out; nil where no fraction decides.
  public let otherwise: RouteTrial?
  /// What the listener's filters do, up to the one that answers; of a route with several clusters, with the first's.
  public let filters: [FilterTrial]
  public let outcome: Outcome

  /// Throws for an expression that is too large to be looked at by itself.
  ///
  /// - Parameter health: How the proxy says that endpoints are; nil where it has said nothing.
  public init(
    _ question: RouteQuestion, _ listener: RoutedListener, health: HealthReport? = nil
  ) throws(FieldError) {
    self.question = question
    self.listener = listener
    let answer = question.withView { view in
      Swift.Result { () throws(FieldError) in try RouteExplanation.Answer(view, listener, health) }
    }
    let parts = try answer.get()
    host = parts.host
    trials = parts.trials
    route = parts.route
    otherwise = parts.otherwise
    filters = parts.filters
    outcome = parts.outcome
  }

  private struct Answer {
    var host: HostMatch?
    var trials: [RouteTrial] = []
    var route: RouteTrial?
    var otherwise: RouteTrial?
    var filters: [FilterTrial] = []
    var outcome = Outcome.noHost

    init(_ request: RequestView, _ listener: RoutedListener, _ health: HealthReport?) throws(FieldError) {
      let table = listener.table
      let result = table.choose(request, random: 0)
      let seen = listener.filters?.trials(result, request, now: Clock.monotonic())
      filters = seen?.trials ?? []
      host = table.host(for: request)
      if let host { trials = try table.trials(host, request, random: 0) }
      // The least number is of every fraction; this one of none that leaves any request out.
      let last: UInt64 = 999_999
      switch result {
      case .notFound: outcome = host == nil ? .noHost : .noRoute
      case .redirectToTLS: outcome = .redirectToTLS(.redirectToTLS(request))
      case .route(let choice):
        route = trials[choice.routeIndex]
        if case .route(let other) = table.choose(request, random: last), other.routeIndex != choice.routeIndex {
          otherwise = trials[other.routeIndex]
        }
        if let response = choice.localResponse(request) {
          outcome = .answer(response)
        } else {
          outcome = .forward(RouteDestination.all(choice, request, listener, health))
        }
        // Of several clusters, each may have something else to say to the filters.
        if choice.weightedIndex != nil { return }
      }
      if let answer = seen?.answer { outcome = .filtered(answer.response, by: filters.last?.name ?? "") }
    }
  }

  /// Routes that are not for the request: first those that came closest to it.
  public var closest: [RouteTrial] {
    trials.filter { !$0.holds }.sorted {
      ($0.conditions[0].holds ? 0 : 1, $0.failures.count, $0.index)
        < ($1.conditions[0].holds ? 0 : 1, $1.failures.count, $1.index)
    }
  }

  /// Routes before the one that was chosen.
  public var passedOver: [RouteTrial] { trials.prefix { $0.index != route?.index }.filter { !$0.holds } }

  /// What becomes of the request is what somebody wants who sends one.
  public var isServed: Bool {
    switch outcome {
    case .noHost, .noRoute: false
    case .redirectToTLS, .answer: true
    case .filtered(let response, _): response.status < 400
    case .forward(let destinations):
      destinations.contains { $0.answer == nil && $0.isServed }
    }
  }
}

/// A cluster that a request may go to, and how the request changes on its way.
public struct RouteDestination: Sendable {
  /// nil where the request names none.
  public let name: String?
  /// Its part of the route's requests, from 0 to 1.
  public let share: Double
  /// nil where there is no cluster of that name.
  public let cluster: RoutedCluster?
  public let forwarding: Forwarding
  /// Of a filter, in the cluster's stead.
  public let answer: LocalResponse?
  /// Of an answer with status 200 and no headers.
  public let response: HeaderEdits
  /// How the cluster's endpoints are.
  public let endpoints: [EndpointStanding]
  /// Requests go to endpoints that do not serve, as too few do.
  public let isPanicking: Bool

  /// Whether a request gets to an endpoint.
  var isServed: Bool { endpoints.contains { isPanicking || $0.health != EndpointHealth.Verdict.unhealthy.rawValue } }

  static func all(
    _ choice: RouteChoice, _ request: RequestView, _ listener: RoutedListener, _ health: HealthReport?
  ) -> [RouteDestination] {
    guard case .forward(let action) = choice.route.action else { return [] }
    guard case .weighted(let weighted) = action.destination else {
      return RouteDestination(choice, request, listener, health, share: 1).map { [$0] } ?? []
    }
    return weighted.clusters.indices.compactMap { index in
      RouteDestination(
        choice.choosing(weighted: index), request, listener, health,
        share: Double(weighted.clusters[index].weight) / Double(weighted.totalWeight))
    }
  }

  private init?(
    _ choice: RouteChoice, _ request: RequestView, _ listener: RoutedListener, _ health: HealthReport?, share: Double
  ) {
    let seen = listener.filters?.trials(.route(choice), request, now: Clock.monotonic())
    let forwarding = choice.forwarding(
      request, edits: seen?.pass.edits ?? HeaderEdits(), marksOriginal: listener.manager.marksOriginal)
    guard let forwarding else { return nil }
    name = forwarding.cluster
    self.share = share
    cluster = forwarding.cluster.flatMap(listener.cluster)
    endpoints = cluster?.standings(health, of: listener.object) ?? []
    isPanicking = cluster.map { health?.cluster($0.name, of: listener.object)?.isPanicking ?? $0.isPanicking } ?? false
    self.forwarding = forwarding
    answer = seen?.answer?.response
    response = choice.responseEdits(
      request, forwarding: forwarding, status: 200,
      headers: UnsafeBufferPointer<HTTPHeaderFacts>(start: nil, count: 0), filters: seen?.pass)
  }
}
