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

  /// What the table and the filters before it say.
  init(_ table: RouteTable, _ chain: FilterChain?, _ request: HTTPRequestDescription, suppresses: Bool) {
    self = request.withFacts { facts in
      let view = RequestView(facts, connection: ConnectionFacts())
      let result = table.choose(view, random: 0)
      var pass = chain?.pass(result)
      while true {
        switch pass?.run(view, now: 1_000_000_000, random: { 0 }) {
        case .proceed?, nil: return Outcome(result, pass, view, request, suppresses: suppresses)
        case .wait?: continue
        case .answer(let answer)?:
          return Outcome(local: answer.response, edits: pass?.edits(view, answer) ?? HeaderEdits())
        }
      }
    }
  }

  private init(
    _ result: RouteResult, _ pass: FilterPass?, _ view: RequestView, _ request: HTTPRequestDescription, suppresses: Bool
  ) {
    switch result {
    case .notFound: self.init(local: .notFound, edits: pass?.edits(view) ?? HeaderEdits())
    case .redirectToTLS: self.init(local: .redirectToTLS(view), edits: pass?.edits(view) ?? HeaderEdits())
    case .route(let choice):
      func answered(_ response: LocalResponse) -> Outcome {
        Outcome(local: response, edits: choice.responseEdits(view, to: response, filters: pass))
      }
      if let response = choice.localResponse(view) {
        self = answered(response)
        return
      }
      let edits = pass?.edits ?? HeaderEdits()
      guard case .forward(let action) = choice.route.action,
        let forwarding = choice.forwarding(view, edits: edits, marksOriginal: !suppresses)
      else { preconditionFailure() }
      if let cluster = forwarding.cluster.flatMap({ EnvoyProcess.clusters.firstIndex(of: $0) }) {
        self.init(choice, view, request, forwarding, cluster, pass)
      } else {
        self = answered(.noCluster(action))
      }
    }
  }

  private init(local: LocalResponse, edits: HeaderEdits) {
    var headers: [String: String] = [:]
    if let location = local.location { headers["location"] = String(decoding: location, as: UTF8.self) }
    if !local.body.isEmpty { headers["content-type"] = "text/plain" }
    self.init(
      status: Int(local.status), cluster: nil, request: nil, headers: Outcome.applied(edits, to: headers),
      body: String(decoding: local.body, as: UTF8.self))
  }

  private init(
    _ choice: RouteChoice, _ view: RequestView, _ request: HTTPRequestDescription, _ forwarding: Forwarding,
    _ cluster: Int, _ pass: FilterPass?
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
      choice.responseEdits(view, forwarding: forwarding, status: 200, headers: $0.headers, filters: pass)
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
