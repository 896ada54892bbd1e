import JSON
import ProxyRules
import Routing

/// What a client and a server see of one exchange, without what every proxy adds of its own.
struct Outcome: Hashable, CustomStringConvertible {
  var status: Int
  /// The index of the cluster that the request went to.
  var cluster: Int?
  /// The request as the server got it.
  var request: Head?
  var headers: [String: String]
  var body: String?

  static let own: Set<String> = [
    "x-forwarded-proto", "x-envoy-expected-rq-timeout-ms", "x-envoy-internal", "content-length", "connection", "server",
    "date", "x-envoy-upstream-service-time", "x-server",
  ]

  var description: String {
    func text(_ headers: [String: String]) -> String {
      headers.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: " | ")
    }
    return """
      \(status) cluster \(cluster.map(String.init) ?? "none") \(request?.line ?? "") [\(text(request?.headers ?? [:]))]
          -> [\(text(headers))] \(body ?? "")
      """
  }

  init(status: Int, cluster: Int?, request: Head?, headers: [String: String], body: String?) {
    self.status = status
    self.cluster = cluster
    self.request = request
    self.headers = headers
    self.body = body
    self.headers = Outcome.comparable(headers)
    self.request?.headers = request.map { Outcome.comparable($0.headers) } ?? [:]
  }

  /// Without the proxy's own, without white space around values, and without empty values of those names that Envoy keeps in
  /// one line each: it leaves them out of the line.
  private static func comparable(_ headers: [String: String]) -> [String: String] {
    var result: [String: String] = [:]
    for (name, value) in headers where !own.contains(name) {
      var values = value.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmed }
      if name == "accept" || name == "user-agent" { values.removeAll(where: \.isEmpty) }
      result[name] = values.joined(separator: ",")
    }
    return result
  }

  /// What came back through Envoy.
  init(_ head: Head, _ body: [UInt8]) {
    let words = head.line.split(separator: " ")
    let cluster = head.headers["x-server"].flatMap { Int($0) }
    self.init(
      status: Int(words[1]) ?? 0, cluster: cluster, request: cluster == nil ? nil : Head(body), headers: head.headers,
      body: cluster == nil ? String(decoding: body, as: UTF8.self) : nil)
  }

  /// What the table says.
  init(_ table: RouteTable, _ request: HTTPRequestDescription, suppresses: Bool) {
    self = request.withFacts { facts in
      let view = RequestView(facts, connection: ConnectionFacts())
      switch table.choose(view, random: 0) {
      case .notFound: return Outcome(status: 404, cluster: nil, request: nil, headers: [:], body: "")
      case .redirectToTLS:
        return Outcome(local: .redirectToTLS(view), edits: HeaderEdits(), [:])
      case .route(let choice):
        if let response = choice.localResponse(view) { return Outcome(choice, view, local: response) }
        guard let forwarding = choice.forwarding(view, marksOriginal: !suppresses) else { preconditionFailure() }
        guard let cluster = forwarding.cluster.flatMap({ EnvoyProcess.clusters.firstIndex(of: $0) }) else {
          return Outcome(choice, view, notFound: forwarding)
        }
        return Outcome(choice, view, request, forwarding, cluster)
      }
    }
  }

  private init(local: LocalResponse, edits: HeaderEdits, _ headers: [String: String]) {
    var headers = headers
    if let location = local.location { headers["location"] = String(decoding: location, as: UTF8.self) }
    if !local.body.isEmpty { headers["content-type"] = "text/plain" }
    self.init(
      status: Int(local.status), cluster: nil, request: nil, headers: Outcome.applied(edits, to: headers),
      body: String(decoding: local.body, as: UTF8.self))
  }

  private init(_ choice: RouteChoice, _ view: RequestView, local: LocalResponse) {
    self.init(local: local, edits: choice.responseEdits(view, to: local), [:])
  }

  private init(_ choice: RouteChoice, _ view: RequestView, notFound forwarding: Forwarding) {
    guard case .forward(let action) = choice.route.action else { preconditionFailure() }
    let response = LocalResponse.noCluster(action)
    self.init(local: response, edits: choice.responseEdits(view, to: response), [:])
  }

  private init(
    _ choice: RouteChoice, _ view: RequestView, _ request: HTTPRequestDescription, _ forwarding: Forwarding,
    _ cluster: Int
  ) {
    var sent = Head(request.bytes)
    let path = forwarding.path.map { String(decoding: $0, as: UTF8.self) } ?? request.path
    sent.line = "\(request.method) \(path) HTTP/1.1"
    sent.headers = Outcome.applied(forwarding.headers, to: sent.headers)
    if let host = forwarding.authority { sent.headers["host"] = String(decoding: host, as: UTF8.self) }
    let answer = HTTPRequestDescription(
      path: "",
      headers: EchoServers.headers.map { line in
        let parts = line.split(separator: ":", maxSplits: 1)
        return (String(parts[0]), String(parts[1].drop { $0 == " " }))
      })
    let edits = answer.withFacts {
      choice.responseEdits(view, forwarding: forwarding, status: 200, headers: $0.headers)
    }
    self.init(
      status: 200, cluster: cluster, request: sent,
      headers: Outcome.applied(edits, to: ["x-up": "one", "x-multi": "a,b", "x-num": "7"]), body: nil)
  }

  private static func applied(_ edits: HeaderEdits, to headers: [String: String]) -> [String: String] {
    var headers = headers
    for name in edits.removed { headers[name] = nil }
    for line in edits.added {
      let value = String(decoding: line.value, as: UTF8.self)
      headers[line.name] = headers[line.name].map { "\($0),\(value)" } ?? value
    }
    return headers
  }
}

extension Substring {
  fileprivate var trimmed: String { String(String(drop { $0 == " " }).reversed().drop { $0 == " " }.reversed()) }
}
