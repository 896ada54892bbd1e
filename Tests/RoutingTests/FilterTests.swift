import Addressing
import JSON
import ProxyRules
import Testing

@testable import Routing

/// What filters make of requests and responses, in tables; the differential test has Envoy's word for most of it.
@Suite struct FilterTests {
  /// A listener's filters before its routes, and the tokens that they have.
  struct Lab {
    let table: RouteTable
    let chain: FilterChain?

    init(_ filters: [JSONValue], _ routes: JSONValue, reusing previous: Lab? = nil) throws {
      let router: JSONValue = [
        "name": "router",
        "typed_config": ["@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"],
      ]
      let all = try resources(listener(routes, manager: ["http_filters": .array(filters + [router])]))
      let configuration = try #require(all.routes(of: all.listeners[0]))
      table = try RouteTable(configuration, reusing: previous?.table)
      chain = try FilterChain.make(
        try #require(all.listeners[0].http), configuration, reusing: previous?.chain)
    }

    /// In one line: what becomes of a request; its headers, or those of the answer.
    func ask(
      _ path: String = "/", _ headers: [(String, String)] = [], method: String = "GET", random: UInt64 = 0,
      now: UInt64 = 1_000_000_000, connection: ConnectionFacts = ConnectionFacts()
    ) -> String {
      let request = HTTPRequestDescription(
        method: method, path: path, host: "a.example", headers: headers.map { (name: $0.0, value: $0.1) })
      func words(_ edits: HeaderEdits) -> String {
        (edits.removed.map { " -\($0)" }
          + edits.added.map { " +\($0.name): \(String(decoding: $0.value, as: UTF8.self))" })
          .joined()
      }
      return request.withFacts { facts in
        let view = RequestView(facts, connection: connection)
        let result = table.choose(view, random: 0)
        var waits = ""
        guard var pass = chain?.pass(result) else { return "no filters" }
        while true {
          switch pass.run(view, now: now, random: { random }) {
          case .wait(let duration): waits += "waits \(duration) "
          case .answer(let answer):
            let body = String(decoding: answer.response.body, as: UTF8.self)
            return "\(waits)\(answer.response.status) \(body)\(words(pass.edits(view, answer)))"
          case .proceed:
            let limit = pass.maximumBody.map { " to \($0) bytes" } ?? ""
            guard case .route(let choice) = result, let forwarding = choice.forwarding(view, edits: pass.edits) else {
              return "\(waits)on\(words(pass.edits)) ->\(words(pass.edits(view)))"
            }
            let edits = choice.responseEdits(
              view, forwarding: forwarding, status: 200, headers: UnsafeBufferPointer(start: nil, count: 0),
              filters: pass)
            return "\(waits)on\(limit)\(words(forwarding.headers)) ->\(words(edits))"
          }
        }
      }
    }
  }

  static func filter(_ name: String, _ type: String, _ config: [String: JSONValue], disabled: Bool = false) -> JSONValue
  {
    ["name": .string(name), "typed_config": FilterTests.any(type, config), "disabled": .bool(disabled)]
  }

  static func any(_ type: String, _ config: [String: JSONValue]) -> JSONValue {
    var config = config
    config["@type"] = .string("type.googleapis.com/envoy.\(type)")
    return .object(config)
  }

  static func route(_ path: String = "/", _ configs: [String: JSONValue] = [:]) -> JSONValue {
    ["match": ["prefix": .string(path)], "route": ["cluster": "c"], "typed_per_filter_config": .object(configs)]
  }

  static let access = "extensions.filters.http.rbac.v3.RBAC"
  static let limit = "extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
  static let all: JSONValue = ["default_value": ["numerator": 100]]

  // MARK: Access rules

  static let connection = ConnectionFacts(
    localPort: 9080, remote: IPAddress("10.0.1.7"), local: IPAddress("10.96.0.10"))

  static let principals: [(JSONValue, Bool)] = [
    (["any": true], true),
    (["remote_ip": ["address_prefix": "10.0.0.0", "prefix_len": 16]], true),
    (["direct_remote_ip": ["address_prefix": "10.0.1.7", "prefix_len": 32]], true),
    (["source_ip": ["addressPrefix": "10.0.2.0", "prefixLen": 24]], false),
    (["remote_ip": ["address_prefix": "fd00::", "prefix_len": 8]], false),
    (["header": ["name": "x-a", "string_match": ["exact": "1"]]], true),
    (["not_id": ["header": ["name": "x-a"]]], false),
    (["url_path": ["path": ["exact": "/a"]]], true),
    (["url_path": ["path": ["contains": "?"]]], false),
    (["and_ids": ["ids": [["any": true], ["url_path": ["path": ["prefix": "/b"]]]]]], false),
    (["or_ids": ["ids": [["any": true], ["url_path": ["path": ["prefix": "/b"]]]]]], true),
  ]

  @Test(arguments: principals.indices) func `who the client is`(_ index: Int) throws {
    let (principal, isAllowed) = Self.principals[index]
    let policy: JSONValue = ["permissions": [["any": true]], "principals": [principal]]
    let lab = try Lab(
      [Self.filter("f", Self.access, ["rules": ["policies": ["p": policy]]])], configuration(Self.route()))
    #expect(
      lab.ask("/a?q", [("x-a", "1")], connection: Self.connection)
        == (isAllowed ? "on ->" : "403 RBAC: access denied"))
  }

  static let permissions: [(JSONValue, Bool)] = [
    (["destination_port": 9080], true), (["destination_port": 80], false),
    (["destination_port_range": ["start": 9000, "end": 9080]], false),
    (["destination_port_range": ["start": 9080, "end": 9081]], true),
    (["destination_ip": ["address_prefix": "10.96.0.0", "prefix_len": 12]], true),
    (["destination_ip": ["address_prefix": "10.0.0.0", "prefix_len": 12]], false),
    (["not_rule": ["destination_port": 9080]], false),
    (["and_rules": ["rules": [["any": true], ["header": ["name": ":method", "exact_match": "GET"]]]]], true),
    (["or_rules": ["rules": [["destination_port": 1], ["url_path": ["path": ["suffix": "z"]]]]]], false),
  ]

  @Test(arguments: permissions.indices) func `what the request is`(_ index: Int) throws {
    let (permission, isDenied) = Self.permissions[index]
    let policy: JSONValue = ["permissions": [permission], "principals": [["any": true]]]
    let lab = try Lab(
      [Self.filter("f", Self.access, ["rules": ["action": "DENY", "policies": ["p": policy]]])],
      configuration(Self.route()))
    #expect(lab.ask("/a", connection: Self.connection) == (isDenied ? "403 RBAC: access denied" : "on ->"))
    let step = try #require(lab.chain?.steps[0])
    #expect(step.counters[.denied] == (isDenied ? 1 : 0) && step.counters[.allowed] == (isDenied ? 0 : 1))
  }

  @Test func `rules of a route take the place of the listener's`() throws {
    let nothing: JSONValue = ["rules": [:]]
    let type = "extensions.filters.http.rbac.v3.RBACPerRoute"
    let lab = try Lab(
      [Self.filter("f", Self.access, ["rules": [:], "shadow_rules": [:]])],
      configuration(
        Self.route("/open", ["f": Self.any(type, [:])]), Self.route("/shut", ["f": Self.any(type, ["rbac": nothing])]),
        Self.route("/off", ["f": Self.any("config.route.v3.FilterConfig", ["disabled": true])]), Self.route()))
    #expect(lab.ask("/") == "403 RBAC: access denied")
    #expect(lab.ask("/shut") == "403 RBAC: access denied")
    #expect(lab.ask("/open") == "on ->")
    #expect(lab.ask("/off") == "on ->")
    #expect(try #require(lab.chain).steps[0].counters[.shadowDenied] == 1)
  }

  // MARK: Levels

  @Test func `a filter that is disabled is on where a route says so`() throws {
    let config = "config.route.v3.FilterConfig"
    let lab = try Lab(
      [Self.filter("f", Self.access, ["rules": [:]], disabled: true)],
      configuration(
        Self.route("/on", ["f": Self.any(config, ["config": [:]])]),
        Self.route("/own", ["f": Self.any("extensions.filters.http.rbac.v3.RBACPerRoute", ["rbac": ["rules": [:]]])]),
        Self.route()))
    #expect(lab.ask("/on") == "403 RBAC: access denied")
    #expect(lab.ask("/own") == "403 RBAC: access denied")
    #expect(lab.ask("/") == "on ->")
  }

  @Test(arguments: [true, false]) func `mutations of all levels follow each other`(_ mostSpecificWins: Bool) throws {
    func rules(_ text: String) -> [String: JSONValue] {
      let append: JSONValue = ["append": ["header": ["key": "x", "value": .string(text)]]]
      return ["mutations": ["request_mutations": [append], "response_mutations": [append, ["remove": "y"]]]]
    }
    func level(_ text: String) -> JSONValue {
      ["f": Self.any("extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute", rules(text))]
    }
    var own = rules("own")
    own["most_specific_header_mutations_wins"] = .bool(mostSpecificWins)
    let routes: JSONValue = [
      "typed_per_filter_config": level("table"),
      "virtual_hosts": [
        [
          "name": "h", "domains": ["*"], "typed_per_filter_config": level("host"),
          "routes": [
            [
              "match": ["prefix": "/"], "typed_per_filter_config": level("route"),
              "route": [
                "weighted_clusters": [
                  "clusters": [["name": "c", "weight": 1, "typed_per_filter_config": level("cluster")]]
                ]
              ],
            ]
          ],
        ]
      ],
    ]
    let lab = try Lab([Self.filter("f", "extensions.filters.http.header_mutation.v3.HeaderMutation", own)], routes)
    let levels = ["cluster", "route", "host", "table"]
    let words = (["own"] + (mostSpecificWins ? levels.reversed() : levels)).map { " +x: \($0)" }.joined()
    #expect(lab.ask() == "on\(words) -> -y\(words)")
  }

  @Test func `each mutation sees those before it`() throws {
    func append(_ key: String, _ value: String, _ action: JSONValue = "APPEND_IF_EXISTS_OR_ADD") -> JSONValue {
      ["append": ["header": ["key": .string(key), "value": .string(value)], "append_action": action]]
    }
    let changes: JSONValue = [
      append("x-a", "1", "OVERWRITE_IF_EXISTS_OR_ADD"), append("x-b", "%REQ(x-a)%"),
      ["remove_on_match": ["key_matcher": ["prefix": "x-a"]]], append("x-a", "%REQ(x-a)%!", "ADD_IF_ABSENT"),
    ]
    let lab = try Lab(
      [
        Self.filter(
          "f", "extensions.filters.http.header_mutation.v3.HeaderMutation",
          ["mutations": ["request_mutations": changes]]),
        Self.filter(
          "g", Self.access,
          [
            "rules": [
              "action": "DENY",
              "policies": [
                "p": ["permissions": [["header": ["name": "x-b", "exact_match": "1"]]], "principals": [["any": true]]]
              ],
            ]
          ]),
      ], configuration(Self.route()))
    #expect(lab.ask("/", [("X-A", "0"), ("x-abc", "2")]).hasPrefix("403 "))
    let alone = try Lab(
      [
        Self.filter(
          "f", "extensions.filters.http.header_mutation.v3.HeaderMutation",
          ["mutations": ["request_mutations": changes]])
      ], configuration(Self.route()))
    #expect(alone.ask("/", [("X-A", "0"), ("x-abc", "2")]) == "on -x-a -x-abc +x-b: 1 +x-a: ! ->")
  }

  // MARK: Faults

  static let faults: [(fault: [String: JSONValue], headers: [(String, String)], outcome: String)] = [
    (["abort": ["http_status": 503, "percentage": ["numerator": 10]]], [], "503 fault filter abort"),
    (["abort": ["http_status": 503, "percentage": ["numerator": 5]]], [], "on ->"),
    (["abort": ["http_status": 503]], [], "on ->"),
    (
      ["delay": ["fixed_delay": "1.5s", "percentage": ["numerator": 10]]], [], "waits 1.5 seconds on ->"
    ),
    (
      [
        "delay": ["fixed_delay": "1s", "percentage": ["numerator": 100]],
        "abort": ["http_status": 418, "percentage": ["numerator": 100], "response_body": "tea"],
      ], [], "waits 1.0 seconds 418 tea"
    ),
    (
      ["delay": ["header_delay": [:], "percentage": ["numerator": 100]]],
      [("x-envoy-fault-delay-request", "20")], "waits 0.02 seconds on ->"
    ),
    (
      ["delay": ["header_delay": [:], "percentage": ["numerator": 100]]],
      [("x-envoy-fault-delay-request", "20"), ("x-envoy-fault-delay-request-percentage", "5")], "on ->"
    ),
    (["delay": ["header_delay": [:], "percentage": ["numerator": 100]]], [], "on ->"),
    (
      ["abort": ["header_abort": [:], "percentage": ["numerator": 100]]], [("x-envoy-fault-abort-request", "404")],
      "404 fault filter abort"
    ),
    (
      ["abort": ["header_abort": [:], "percentage": ["numerator": 100]]], [("x-envoy-fault-abort-request", "600")],
      "on ->"
    ),
    (
      ["abort": ["http_status": 503, "percentage": ["numerator": 100]], "headers": [["name": "x-a"]]], [], "on ->"
    ),
    (
      ["abort": ["http_status": 503, "percentage": ["numerator": 100]], "upstream_cluster": "other"], [], "on ->"
    ),
    (
      ["abort": ["http_status": 503, "percentage": ["numerator": 100]], "upstream_cluster": "c"], [],
      "503 fault filter abort"
    ),
  ]

  @Test(arguments: faults.indices) func `what faults do`(_ index: Int) throws {
    let (fault, headers, outcome) = Self.faults[index]
    let lab = try Lab(
      [Self.filter("f", "extensions.filters.http.fault.v3.HTTPFault", fault)], configuration(Self.route()))
    #expect(lab.ask("/", headers, random: 7) == outcome)
  }

  // MARK: Limits

  @Test func `tokens come evenly, and stay through changes of other routes`() throws {
    let bucket: JSONValue = ["max_tokens": 2, "tokens_per_fill": 10, "fill_interval": "1s"]
    let limited = Self.any(
      Self.limit, ["stat_prefix": "x", "token_bucket": bucket, "filter_enabled": Self.all, "filter_enforced": Self.all])
    func lab(_ other: String, reusing previous: Lab? = nil) throws -> Lab {
      try Lab(
        [Self.filter("f", Self.limit, ["stat_prefix": "x"])],
        configuration(Self.route("/l", ["f": limited]), Self.route(other)), reusing: previous)
    }
    let first = try lab("/a")
    let refused = "429 local_rate_limited"
    #expect((0..<3).map { _ in first.ask("/l") } == ["on ->", "on ->", refused])
    #expect(first.ask("/a") == "on ->", "the listener's own has no bucket")
    let second = try lab("/b", reusing: first)
    #expect(second.ask("/l", now: 1_050_000_000) == refused)
    #expect(second.ask("/l", now: 1_100_000_000) == "on ->")
    #expect(second.ask("/l", now: 1_150_000_000) == refused)
    #expect((0..<3).map { _ in second.ask("/l", now: 9_000_000_000) } == ["on ->", "on ->", refused])
    #expect(try lab("/a").ask("/l") == "on ->")
  }

  @Test func `a limit that is not enforced marks requests`() throws {
    let header: JSONValue = [["header": ["key": "x-limited", "value": "%REQ(:path)%"]]]
    let lab = try Lab(
      [
        Self.filter(
          "f", Self.limit,
          [
            "stat_prefix": "x", "filter_enabled": Self.all, "request_headers_to_add_when_not_enforced": header,
            "token_bucket": ["max_tokens": 1, "fill_interval": "60s"],
          ])
      ], configuration(Self.route()))
    #expect((0..<2).map { _ in lab.ask("/x") } == ["on ->", "on +x-limited: /x ->"])
  }

  @Test func `bodies are limited by the smallest that holds`() throws {
    let type = "extensions.filters.http.buffer.v3.Buffer"
    let lab = try Lab(
      [Self.filter("f", type, ["max_request_bytes": 100]), Self.filter("g", type, ["max_request_bytes": "50"])],
      configuration(
        Self.route("/g", ["g": Self.any(type + "PerRoute", ["disabled": true])]),
        Self.route("/f", ["f": Self.any(type + "PerRoute", ["buffer": ["max_request_bytes": 7]])]), Self.route()))
    #expect(lab.ask("/") == "on to 50 bytes ->")
    #expect(lab.ask("/g") == "on to 100 bytes ->")
    #expect(lab.ask("/f") == "on to 7 bytes ->")
  }

  // MARK: Refusals

  /// What a listener's filter says, where that is refused, and why.
  static let refusals: [(type: String, config: [String: JSONValue], path: String, message: String)] = [
    ("rbac.v3.RBAC", ["matcher": ["x": 1]], ".matcher", "not supported"),
    (
      "rbac.v3.RBAC", ["rules": ["action": "LOG"]], ".rules.action",
      "LOG is not supported: there is no access log that it could choose for"
    ),
    (
      "rbac.v3.RBAC",
      ["rules": ["policies": ["p": ["permissions": [["any": true]], "principals": [["authenticated": [:]]]]]]],
      ".rules.policies.p.principals[0].authenticated", "not supported"
    ),
    (
      "rbac.v3.RBAC", ["rules": ["policies": ["p": ["permissions": [["any": false]], "principals": [["any": true]]]]]],
      ".rules.policies.p.permissions[0].any", "must be true"
    ),
    (
      "rbac.v3.RBAC",
      [
        "rules": [
          "policies": [
            "p": ["permissions": [["destination_ip": ["address_prefix": "x"]]], "principals": [["any": true]]]
          ]
        ]
      ], ".rules.policies.p.permissions[0].destination_ip.address_prefix", "must be an IP address"
    ),
    (
      "fault.v3.HTTPFault", ["abort": ["http_status": 199]], ".abort.http_status", "must be from 200 to 599, is 199"
    ),
    ("fault.v3.HTTPFault", ["abort": ["grpc_status": 1]], ".abort.grpc_status", "not supported"),
    ("fault.v3.HTTPFault", ["delay": ["fixed_delay": "0s"]], ".delay.fixed_delay", "must be more than 0s"),
    ("fault.v3.HTTPFault", ["max_active_faults": 3], ".max_active_faults", "not supported"),
    (
      "header_mutation.v3.HeaderMutation", ["mutations": ["request_mutations": [["remove": "Host"]]]],
      ".mutations.request_mutations[0].remove", "host can not be removed"
    ),
    (
      "header_mutation.v3.HeaderMutation",
      ["mutations": ["response_mutations": [["remove_on_match": ["key_matcher": ["contains": "length"]]]]]],
      ".mutations.response_mutations[0].remove_on_match.key_matcher", "would remove content-length"
    ),
    (
      "header_mutation.v3.HeaderMutation", ["mutations": ["query_parameter_mutations": [[:]]]],
      ".mutations.query_parameter_mutations", "not supported"
    ),
    (
      "local_ratelimit.v3.LocalRateLimit", ["token_bucket": ["max_tokens": 1, "fill_interval": "0.01s"]],
      ".token_bucket.fill_interval", "must be at least 0.05s"
    ),
    ("local_ratelimit.v3.LocalRateLimit", ["descriptors": [[:]]], ".descriptors", "not supported"),
    ("local_ratelimit.v3.LocalRateLimit", ["status": ["code": 200]], ".status.code", "must be from 400 to 599, is 200"),
    ("buffer.v3.Buffer", [:], ".max_request_bytes", "required"),
    ("cors.v3.Cors", ["x": 1], ".x", "unknown field of envoy.extensions.filters.http.cors.v3.Cors"),
    (
      "jwt_authn.v3.JwtAuthentication", [:], "",
      "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication is not supported yet"
    ),
  ]

  @Test(arguments: refusals.indices) func `a refusal names the field`(_ index: Int) {
    let row = Self.refusals[index]
    let error = #expect(throws: FieldError.self) {
      try Lab([Self.filter("f", "extensions.filters.http.\(row.type)", row.config)], configuration(Self.route()))
    }
    let place = "spec.resources[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config"
    #expect(error?.path == place + row.path)
    #expect(error?.message == row.message)
  }

  static let overrideRefusals: [(config: JSONValue, path: String, message: String)] = [
    (
      ["g": any("config.route.v3.FilterConfig", ["disabled": true])], ".g",
      "no filter \"g\" among the listener's http_filters"
    ),
    (
      ["f": any("extensions.filters.http.buffer.v3.BufferPerRoute", ["disabled": true])], ".f",
      "is for buffer, but the filter \"f\" is rbac"
    ),
    (["f": any("config.route.v3.FilterConfig", [:])], ".f.config", "required"),
    (["f": any("extensions.filters.http.buffer.v3.BufferPerRoute", [:])], ".f", "needs disabled or buffer"),
    (["f": any(limit, ["stat_prefix": "x"])], ".f.token_bucket", "required"),
  ]

  @Test(arguments: overrideRefusals.indices) func `what a route says to no filter is refused`(_ index: Int) {
    let row = Self.overrideRefusals[index]
    let error = #expect(throws: FieldError.self) {
      try Lab(
        [Self.filter("f", Self.access, [:])],
        configuration(["match": ["prefix": "/"], "route": ["cluster": "c"], "typed_per_filter_config": row.config]))
    }
    let place =
      "spec.resources[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0]"
    #expect(error?.path == "\(place).typed_per_filter_config\(row.path)")
    #expect(error?.message == row.message)
  }

  @Test func `the router is the last`() {
    func filters(_ filters: JSONValue...) -> String {
      do {
        _ = try resources(listener(configuration(Self.route()), manager: ["http_filters": .array(filters)]))
        return "good"
      } catch { return "\(error)".split(separator: ": ", maxSplits: 1).last.map(String.init) ?? "" }
    }
    let router = Self.filter("router", "extensions.filters.http.router.v3.Router", [:])
    let other = Self.filter("f", Self.access, [:])
    #expect(filters() == "good")
    #expect(filters(other, router) == "good")
    #expect(filters(other) == "the last filter must be the router")
    #expect(filters(router, other) == "behind the router there can be no filter")
    #expect(
      filters(Self.filter("router", "extensions.filters.http.router.v3.Router", [:], disabled: true))
        == "the router can not be disabled")
  }

  // MARK: Explanations

  @Test func `a trial takes no token and counts nothing`() throws {
    let lab = try Lab(
      [
        Self.filter(
          "f", Self.limit,
          [
            "stat_prefix": "x", "filter_enabled": Self.all, "filter_enforced": Self.all,
            "token_bucket": ["max_tokens": 1, "fill_interval": "60s"],
          ]), Self.filter("g", Self.access, ["rules": [:]]), Self.filter("h", Self.access, ["rules": [:]]),
      ], configuration(Self.route()))
    let chain = try #require(lab.chain)
    for _ in 0..<2 {
      HTTPRequestDescription(path: "/").withFacts { facts in
        let view = RequestView(facts, connection: ConnectionFacts())
        let seen = chain.trials(lab.table.choose(view, random: 0), view, now: 0)
        #expect(seen.answer?.response.status == 403)
        #expect(
          seen.trials.map { "\($0.name): \($0.effects.joined())" } == [
            "f: lets through 1 requests in 60.0 seconds, up to 1 at once; refuses all requests beyond them with 429",
            "g: denies it: no policy matches",
          ])
      }
    }
    #expect(FilterEvent.allCases.allSatisfy { event in chain.steps.allSatisfy { $0.counters[event] == 0 } })
    #expect(lab.ask("/").hasPrefix("403"))
  }
}
