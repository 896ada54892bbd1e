import Proxy
import Routing

/// An explanation of a route as a person reads it.
struct RouteExplanationText {
  private var lines: [String] = []
  private let wide: Bool

  var text: String { lines.joined(separator: "\n") }

  init(_ explanation: RouteExplanation, state: String, wide: Bool) {
    self.wide = wide
    let listener = explanation.listener
    lines.append("\(listener.object), listener \(listener.name) (\(listener.number)): \(state)")
    if let host = explanation.host {
      lines.append("virtual host \(host.host.name), by its domain \"\(host.domain)\"")
    }
    addOutcome(explanation)
  }

  private mutating func addOutcome(_ explanation: RouteExplanation) {
    let listener = explanation.listener
    switch explanation.outcome {
    case .noHost:
      let domains = listener.table.configuration.virtualHosts.flatMap(\.domains)
      lines.append("404: no virtual host is for \(explanation.question.authority); their domains are \(list(domains))")
    case .redirectToTLS(let response):
      lines.append("\(response.status) to \(location(response)): the virtual host is only for TLS")
    case .noRoute: addClosest(explanation)
    case .answer(let response):
      addRoute(explanation)
      let place = response.location == nil ? "with a body of \(response.body.count) bytes" : "to \(location(response))"
      lines.append("  the proxy answers \(response.status) \(place)")
    case .filtered(let response, let name):
      addRoute(explanation)
      lines.append("  the filter \(name) answers \(response.status)")
    case .forward(let destinations):
      addRoute(explanation)
      addDestinations(destinations, explanation)
    }
  }

  private mutating func addRoute(_ explanation: RouteExplanation) {
    guard let route = explanation.route else { return }
    lines.append("\(title(route)): \(route.conditions.map(\.text).joined(separator: "; "))")
    let passed = explanation.passedOver
    for trial in wide ? passed[...] : passed.suffix(3) { lines.append("  not \(title(trial)): \(failures(trial))") }
    if !wide, passed.count > 3 { lines.append("  … \(passed.count - 3) before them; -o wide shows them") }
    for filter in explanation.filters {
      let effects = filter.effects.isEmpty ? "nothing" : filter.effects.joined(separator: "; ")
      lines.append("  filter \(filter.name) (\(filter.kind)): \(filter.isDisabled ? "off" : effects)")
    }
    if let otherwise = explanation.otherwise {
      lines.append("  requests that are not of that part take \(title(otherwise))")
    }
  }

  private mutating func addClosest(_ explanation: RouteExplanation) {
    let closest = explanation.closest
    lines.append("404: none of its \(explanation.trials.count) routes is for the request; the closest:")
    for trial in wide ? closest[...] : closest.prefix(3) { lines.append("  \(title(trial)): \(failures(trial))") }
  }

  private mutating func addDestinations(_ destinations: [RouteDestination], _ explanation: RouteExplanation) {
    guard case .forward(let action)? = explanation.route?.route.action else { return }
    for destination in destinations {
      guard let name = destination.name else {
        lines.append("  \(action.clusterNotFoundStatus): the request has no header that names a cluster")
        continue
      }
      let part = destinations.count > 1 ? ", \(percent(destination.share)) of the requests" : ""
      guard let cluster = destination.cluster else {
        lines.append("  cluster \(name)\(part): \(action.clusterNotFoundStatus), for it is not there")
        continue
      }
      if let answer = destination.answer {
        lines.append("  cluster \(name)\(part): a filter answers \(answer.status)")
        continue
      }
      lines.append("  cluster \(name)\(part): \(endpoints(cluster, destination))")
      addEdits(destination)
    }
    lines.append("  timeout \(action.timeout.words)")
    let retries = (action.retry ?? explanation.host?.host.retry)?.words ?? "none"
    lines.append("  retries \(retries)")
  }

  private mutating func addEdits(_ destination: RouteDestination) {
    let forwarding = destination.forwarding
    if let path = forwarding.path { lines.append("    path becomes \(String(decoding: path, as: UTF8.self))") }
    if let host = forwarding.authority { lines.append("    host becomes \(String(decoding: host, as: UTF8.self))") }
    if forwarding.usesEndpointName { lines.append("    host becomes the endpoint's name, if it has one") }
    addEdits(forwarding.headers, "request")
    addEdits(destination.response, "response")
  }

  private mutating func addEdits(_ edits: HeaderEdits, _ message: String) {
    let set = Set(edits.added.map(\.name))
    for name in edits.removed where !set.contains(name) { lines.append("    \(message) loses \(name)") }
    for line in edits.added {
      lines.append("    \(message) gets \(line.name): \(String(decoding: line.value, as: UTF8.self))")
    }
  }

  private func endpoints(_ cluster: RoutedCluster, _ destination: RouteDestination) -> String {
    let endpoints = destination.endpoints
    guard !endpoints.isEmpty else { return "503, for it has no endpoint" }
    let isWeighted = Set(endpoints.map(\.weight)).count > 1
    let hasPriorities = Set(endpoints.map(\.priority)).count > 1
    let words = endpoints.map { endpoint in
      var notes = isWeighted ? ["weight \(endpoint.weight)"] : []
      if hasPriorities { notes.append("priority \(endpoint.priority)") }
      if endpoint.health != "healthy" || !endpoint.reasons.isEmpty {
        notes.append(([endpoint.health] + endpoint.reasons).joined(separator: ": "))
      }
      return notes.isEmpty ? endpoint.address : "\(endpoint.address) (\(notes.joined(separator: "; ")))"
    }
    let panic = destination.isPanicking ? ", all of them, for too few are healthy" : ""
    return "\(list(words)), by \(cluster.balancing)\(panic)"
  }

  private func list(_ words: [String]) -> String {
    let shown = wide ? words[...] : words.prefix(5)
    return shown.joined(separator: ", ") + (words.count > shown.count ? ", \(words.count - shown.count) more" : "")
  }

  private func title(_ trial: RouteTrial) -> String {
    trial.route.name.isEmpty ? "route \(trial.index)" : "route \(trial.index) \"\(trial.route.name)\""
  }

  private func failures(_ trial: RouteTrial) -> String {
    trial.failures.map { "it is not so that \($0.text)" }.joined(separator: "; ")
  }

  private func location(_ response: LocalResponse) -> String {
    String(decoding: response.location ?? [], as: UTF8.self)
  }

  private func percent(_ share: Double) -> String {
    let hundredths = Int((share * 10_000).rounded())
    return hundredths.isMultiple(of: 100) ? "\(hundredths / 100) %" : "\(Double(hundredths) / 100) %"
  }
}
