public import JSON
import Routing

extension RouteExplanation {
  /// The explanation for machines.
  public var json: JSONValue {
    var document: JSONValue = [
      "request": [
        "method": .string(question.method),
        "url": .string("\(question.scheme)://\(question.authority)\(question.path)"),
        "headers": .array(question.headers.map { ["name": .string($0.name), "value": .string($0.value)] }),
      ],
      "object": .string(listener.object), "listener": .string(listener.name),
      "number": .integer(Int64(listener.number)), "outcome": .string(outcome.word), "served": .bool(isServed),
    ]
    if let host {
      document["virtualHost"] = .string(host.host.name)
      document["domain"] = .string(host.domain)
    }
    if let route {
      document["route"] = route.json
      document["passedOver"] = .array(passedOver.map(\.json))
    } else {
      document["closest"] = .array(closest.prefix(3).map(\.json))
    }
    if !filters.isEmpty { document["filters"] = .array(filters.map(\.json)) }
    if case .filtered(_, let name) = outcome { document["answeredBy"] = .string(name) }
    if let otherwise { document["otherwise"] = otherwise.json }
    if let response = outcome.response {
      document["status"] = .integer(Int64(response.status))
      if let location = response.location { document["location"] = .string(String(decoding: location, as: UTF8.self)) }
      document["bodyBytes"] = .integer(Int64(response.body.count))
    }
    if case .forward(let destinations) = outcome, case .forward(let action)? = route?.route.action {
      document["clusters"] = .array(destinations.map { $0.json(action) })
      document["timeout"] = .string(action.timeout.words)
      document["retries"] = (action.retry ?? host?.host.retry).map { .string($0.words) } ?? .null
    }
    return document
  }
}

extension RouteExplanation.Outcome {
  /// The proxy's own answer.
  public var response: LocalResponse? {
    switch self {
    case .noHost, .noRoute: .notFound
    case .redirectToTLS(let response), .answer(let response), .filtered(let response, _): response
    case .forward: nil
    }
  }

  var word: String {
    switch self {
    case .noHost: "no virtual host"
    case .noRoute: "no route"
    case .redirectToTLS: "redirect to TLS"
    case .answer(let response): response.location == nil ? "answer" : "redirect"
    case .filtered: "filter"
    case .forward: "forward"
    }
  }
}

extension FilterTrial {
  var json: JSONValue {
    [
      "name": .string(name), "kind": .string(kind), "enabled": .bool(!isDisabled),
      "does": .array(effects.map { .string($0) }),
    ]
  }
}

extension RouteTrial {
  var json: JSONValue {
    func texts(_ holds: Bool) -> JSONValue { .array(conditions.filter { $0.holds == holds }.map { .string($0.text) }) }
    return ["index": .integer(Int64(index)), "name": .string(route.name), "holds": texts(true), "fails": texts(false)]
  }
}

extension RouteDestination {
  func json(_ action: RouteAction) -> JSONValue {
    var document: JSONValue = [
      "name": name.map { .string($0) } ?? .null, "share": .number(share), "known": .bool(cluster != nil),
      "edits": ["request": forwarding.headers.json, "response": response.json],
    ]
    if let path = forwarding.path { document["edits"]?["path"] = .string(String(decoding: path, as: UTF8.self)) }
    if let authority = forwarding.authority {
      document["edits"]?["authority"] = .string(String(decoding: authority, as: UTF8.self))
    }
    if let answer { document["answer"] = .integer(Int64(answer.status)) }
    if forwarding.usesEndpointName { document["edits"]?["usesEndpointName"] = .bool(true) }
    if let cluster {
      document["balancing"] = .string(cluster.balancing)
      document["connectTimeout"] = .string(cluster.connectTimeout.words)
      document["panic"] = .bool(isPanicking)
      document["endpoints"] = .array(endpoints.map(\.json))
    } else {
      document["status"] = .integer(Int64(action.clusterNotFoundStatus))
    }
    return document
  }
}

extension HeaderEdits {
  var json: JSONValue {
    [
      "remove": .array(removed.map { .string($0) }),
      "add": .array(
        added.map { ["name": .string($0.name), "value": .string(String(decoding: $0.value, as: UTF8.self))] }),
    ]
  }
}

extension Duration {
  /// As Envoy writes it: `1.5s`; none for zero.
  public var words: String {
    if self == .zero { return "none" }
    let nanoseconds = self.nanoseconds
    let whole = nanoseconds / 1_000_000_000
    var rest = "\(nanoseconds % 1_000_000_000)"
    rest = String(repeating: "0", count: 9 - rest.count) + rest
    while rest.hasSuffix("0") { rest.removeLast() }
    return rest.isEmpty ? "\(whole)s" : "\(whole).\(rest)s"
  }
}
