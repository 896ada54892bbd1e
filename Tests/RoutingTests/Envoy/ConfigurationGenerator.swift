import JSON
import TestSupport

/// Route configurations out of few words, so that routes compete for requests.
struct ConfigurationGenerator {
  var random: SeededGenerator
  /// Of the listener, behind each other; ``makeFilters()`` makes them.
  var filters: [Filter] = []
  var filterDocuments: [JSONValue] = []

  static let domains = [
    "a.example", "b.example", "*.example", "*.b.example", "*-x.example", "a.*", "b.example.*", "a.example:8080", "*",
    "A.B.Example", "example", "[::1]", "*:8080", "x*", "c.example:*",
  ]
  static let prefixes = ["/", "/a", "/a/", "/a/b", "/A", "/ab", "/api", "/api/v", "", "/a%2fb", "/a/b?k", "//", "/b"]
  static let paths = ["/", "/a", "/a/", "/a/b", "/A", "/ab", "/api/v1/users", "/a;p=1", "", "/b"]
  static let separated = ["/a", "/a/b", "/api", "/A", "/api/v1", "/b"]
  static let regexes = [
    "/a.*", "/[a-c]+", "/(a|b)/.*", "/api/v[0-9]+(/.*)?", ".*b", "(?i)/A", "/a/?", "[^/]*/.*", ".*", "/a|/b",
  ]
  static let headers = ["x-a", "X-B", "x-num", "accept", "user-agent", ":method", ":path", ":authority", "host", "x-c"]
  static let values = ["a", "b", "ab", "abc", "ABC", "1", "10", "GET", "/a", "a,b", "a.example"]
  static let addresses = ["x-a", "x-new", "x-b", "x-up", "x-multi", "x-other", "accept", "user-agent"]
  static let templates = [
    "plain", "", "%REQ(X-A)%", "%REQ(x-none)%", "%REQ(x-none?x-b)%", "%REQ(:path)%", "%REQ(:authority)%",
    "%REQ(x-a):2%", "100%%", "a-%REQ(:METHOD)%-b", "%PROTOCOL%", "%REQ(x-new)%", "%REQ(x-none)%-", "%ROUTE_NAME%",
  ]
  static let responseTemplates = templates + ["%RESP(x-up)%", "%RESPONSE_CODE%", "%RESP(x-none?x-num)%"]

  /// Neighbouring seeds would give nearly the same numbers.
  init(seed: Int) { random = SeededGenerator(seed: seed &* 0x2545_F491_4F6C_DD1D) }

  mutating func configuration() -> JSONValue {
    makeFilters()
    var free = ConfigurationGenerator.domains
    free.shuffle(using: &random)
    var hosts: [JSONValue] = []
    for index in 0..<Int.random(in: 1...4, using: &random) {
      let count = min(free.count, Int.random(in: 1...3, using: &random))
      var domains = Array(free.prefix(count))
      free.removeFirst(count)
      if index == 0, !domains.contains("*"), random.chance(70) {
        free.removeAll { $0 == "*" }
        domains.append("*")
      }
      hosts.append(host(index, domains))
    }
    var configuration: [String: JSONValue] = [
      "name": "routes", "virtual_hosts": .array(hosts), "validate_clusters": false,
    ]
    addHeaders(&configuration, 25)
    addFilters(&configuration, 10)
    if random.chance(30) { configuration["most_specific_header_mutations_wins"] = true }
    if random.chance(40) { configuration["ignore_port_in_host_matching"] = true }
    return spelled(.object(configuration))
  }

  private mutating func host(_ index: Int, _ domains: [String]) -> JSONValue {
    var routes = (0..<Int.random(in: 1...8, using: &random)).map { route($0) }
    if random.chance(60) {
      var last: [String: JSONValue] = ["match": ["prefix": "/"], "route": action()]
      addHeaders(&last, 25)
      addFilters(&last, 15)
      routes.append(.object(last))
    }
    var host: [String: JSONValue] = [
      "name": .string("host\(index)"), "domains": .array(domains.map { .string($0) }), "routes": .array(routes),
    ]
    addHeaders(&host, 25)
    addFilters(&host, 15)
    if random.chance(5) { host["require_tls"] = random.chance(50) ? "ALL" : 2 }
    return .object(host)
  }

  private mutating func route(_ index: Int) -> JSONValue {
    var route: [String: JSONValue] = ["match": match()]
    if random.chance(50) { route["name"] = .string("route-\(index)") }
    switch Int.random(in: 0..<10, using: &random) {
    case 0...6: route["route"] = action()
    case 7, 8: route["redirect"] = redirect()
    default:
      var response: [String: JSONValue] = ["status": .integer(random.pick([200, 204, 301, 403, 404, 503]))]
      if random.chance(60) { response["body"] = ["inline_string": .string(random.pick(["hello", "", "two\nlines"]))] }
      route["direct_response"] = .object(response)
    }
    addHeaders(&route, 25)
    addFilters(&route, 15)
    return .object(route)
  }

  private mutating func match() -> JSONValue {
    var match: [String: JSONValue] = [:]
    switch Int.random(in: 0..<4, using: &random) {
    case 0: match["prefix"] = .string(random.pick(ConfigurationGenerator.prefixes))
    case 1: match["path"] = .string(random.pick(ConfigurationGenerator.paths))
    case 2: match["path_separated_prefix"] = .string(random.pick(ConfigurationGenerator.separated))
    default: match["safe_regex"] = regex()
    }
    if random.chance(25) { match["case_sensitive"] = .bool(random.chance(30)) }
    if random.chance(40) {
      match["headers"] = .array((0..<Int.random(in: 1...2, using: &random)).map { _ in headerMatcher() })
    }
    if random.chance(25) {
      match["query_parameters"] = .array((0..<Int.random(in: 1...2, using: &random)).map { _ in parameterMatcher() })
    }
    if random.chance(10) {
      match["runtime_fraction"] = [
        "default_value": [
          "numerator": .integer(random.pick([0, 1_000_000])),
          "denominator": .string(random.pick(["HUNDRED", "MILLION"])),
        ]
      ]
    }
    if random.chance(4) { match["grpc"] = [:] }
    return .object(match)
  }

  private mutating func regex() -> JSONValue { ["regex": .string(random.pick(ConfigurationGenerator.regexes))] }

  private mutating func valueRegex() -> JSONValue {
    ["regex": .string(random.pick(["a.*", "[0-9]+", ".*", "a|b", "(?i)abc", ".*b.*", "-?[0-9]+"]))]
  }

  private mutating func stringMatcher() -> JSONValue {
    let value = JSONValue.string(random.pick(ConfigurationGenerator.values))
    var matcher: [String: JSONValue] = [:]
    switch Int.random(in: 0..<5, using: &random) {
    case 0: matcher["exact"] = random.chance(20) ? "" : value
    case 1: matcher["prefix"] = value
    case 2: matcher["suffix"] = value
    case 3: matcher["contains"] = value
    default: matcher["safe_regex"] = valueRegex()
    }
    if random.chance(30), matcher["safe_regex"] == nil { matcher["ignore_case"] = true }
    return .object(matcher)
  }

  mutating func headerMatcher() -> JSONValue {
    let value = JSONValue.string(random.pick(ConfigurationGenerator.values))
    var matcher: [String: JSONValue] = ["name": .string(random.pick(ConfigurationGenerator.headers))]
    switch Int.random(in: 0..<9, using: &random) {
    case 0: matcher["exact_match"] = random.chance(30) ? "" : value
    case 1: matcher["prefix_match"] = value
    case 2: matcher["suffix_match"] = value
    case 3: matcher["contains_match"] = value
    case 4: matcher["safe_regex_match"] = valueRegex()
    case 5: matcher["present_match"] = .bool(random.chance(70))
    case 6: matcher["string_match"] = stringMatcher()
    case 7:
      let start = Int64(random.pick([-10, 0, 1, 7]))
      let end = start + Int64(random.pick([0, 1, 10]))
      matcher["name"] = "x-num"
      matcher["range_match"] = [
        "start": random.chance(50) ? .string(String(start)) : .integer(start), "end": .integer(end),
      ]
    default: break
    }
    if random.chance(30) { matcher["invert_match"] = true }
    if random.chance(30) { matcher["treat_missing_header_as_empty"] = true }
    return .object(matcher)
  }

  private mutating func parameterMatcher() -> JSONValue {
    var matcher: [String: JSONValue] = [
      "name": .string(random.pick(["k", "x", "", "a%20b", "K"].filter { !$0.isEmpty }))
    ]
    switch Int.random(in: 0..<3, using: &random) {
    case 0: matcher["string_match"] = stringMatcher()
    case 1: matcher["present_match"] = .bool(random.chance(60))
    default: break
    }
    return .object(matcher)
  }

  private mutating func clusterName() -> JSONValue {
    .string(random.chance(5) ? "ns/none" : random.pick(EnvoyProcess.clusters))
  }

  private mutating func action() -> JSONValue {
    var action: [String: JSONValue] = [:]
    switch Int.random(in: 0..<10, using: &random) {
    case 0...5: action["cluster"] = clusterName()
    case 6: action["cluster_header"] = "x-cluster"
    default: action["weighted_clusters"] = weighted()
    }
    if random.chance(15) {
      action["cluster_not_found_response_code"] = random.pick(["NOT_FOUND", 2, "SERVICE_UNAVAILABLE"])
    }
    switch Int.random(in: 0..<6, using: &random) {
    case 0, 1:
      action["prefix_rewrite"] = .string(
        random.pick(["/", "/new", "/new/", "/a?q=1", "/x y"].filter { !$0.contains(" ") }))
    case 2: action["regex_rewrite"] = substitution()
    default: break
    }
    switch Int.random(in: 0..<8, using: &random) {
    case 0: action["host_rewrite_literal"] = "rewritten.example"
    case 1: action["host_rewrite_header"] = .string(random.pick(["x-a", "x-new", "x-none"]))
    case 2:
      action["host_rewrite_path_regex"] = [
        "pattern": ["regex": "^/([a-z]+).*$"], "substitution": "\\1.example",
      ]
    case 3: action["auto_host_rewrite"] = .bool(random.chance(50))
    default: break
    }
    if random.chance(20) { action["append_x_forwarded_host"] = true }
    addTraffic(&action)
    if random.chance(20) { action["timeout"] = .string(random.pick(["10s", "9.5s", "0s", "12.000000001s"])) }
    return .object(action)
  }

  /// What has no consequence here, but must be read by both.
  private mutating func addTraffic(_ action: inout [String: JSONValue]) {
    if random.chance(10) { action["idle_timeout"] = .string(random.pick(["10s", "0s"])) }
    if random.chance(10) { action["priority"] = random.pick(["HIGH", 0]) }
    if random.chance(15) {
      action["retry_policy"] = [
        "retry_on": .string(
          random.pick(["5xx,reset", "gateway-error, connect-failure", "retriable-status-codes", "cancelled"])),
        "num_retries": 2, "per_try_timeout": "5s", "retriable_status_codes": [409],
        "retry_back_off": ["base_interval": "0.1s", "max_interval": "1s"],
        "retriable_headers": .array([headerMatcher()]),
      ]
    }
    if random.chance(15) {
      action["hash_policy"] = [
        random.pick([
          ["header": ["header_name": "x-a"], "terminal": true], ["cookie": ["name": "c", "ttl": "3600s", "path": "/"]],
          ["connection_properties": ["source_ip": true]], ["query_parameter": ["name": "k"]],
        ])
      ]
    }
  }

  private mutating func substitution() -> JSONValue {
    let pair = random.pick([
      ("^/a", "/z"), ("a", "bb"), ("/([^/]+)/([^/]+)", "/\\2/\\1"), ("x*", "-"), ("(a)|(b)", "[\\1\\2]"),
      ("^/api/(v[0-9]+)(/.*)?$", "\\2/\\1"), ("(?i)A", "\\\\"), ("b+?", "c"), ("(a*)+", "<\\1>"), ("/", "//\\0"),
    ])
    return ["pattern": ["regex": .string(pair.0)], "substitution": .string(pair.1)]
  }

  private mutating func weighted() -> JSONValue {
    var clusters: [JSONValue] = []
    for index in 0..<Int.random(in: 1...3, using: &random) {
      var cluster: [String: JSONValue] = [
        "weight": .integer(index == 0 ? random.pick([1, 10, 90]) : random.pick([0, 1, 10]))
      ]
      if random.chance(10) { cluster["cluster_header"] = "x-cluster" } else { cluster["name"] = clusterName() }
      addHeaders(&cluster, 40)
      addFilters(&cluster, 15)
      if random.chance(20) { cluster["host_rewrite_literal"] = "weighted.example" }
      clusters.append(.object(cluster))
    }
    return ["clusters": .array(clusters), "header_name": "x-random"]
  }

  private mutating func redirect() -> JSONValue {
    var redirect: [String: JSONValue] = [:]
    if random.chance(30) {
      redirect["https_redirect"] = true
    } else if random.chance(20) {
      redirect["scheme_redirect"] = "ftp"
    }
    if random.chance(40) { redirect["host_redirect"] = "to.example" }
    if random.chance(30) { redirect["port_redirect"] = .integer(random.pick([443, 8443])) }
    switch Int.random(in: 0..<5, using: &random) {
    case 0: redirect["path_redirect"] = .string(random.pick(["/new", "/new?q=1", "/"]))
    case 1: redirect["prefix_rewrite"] = .string(random.pick(["/new", "/", "/new/"]))
    case 2: redirect["regex_rewrite"] = substitution()
    default: break
    }
    if random.chance(50) {
      redirect["response_code"] = random.pick(["FOUND", "SEE_OTHER", 3, "PERMANENT_REDIRECT", "MOVED_PERMANENTLY"])
    }
    if random.chance(40) { redirect["strip_query"] = true }
    return .object(redirect)
  }

  private mutating func addHeaders(_ level: inout [String: JSONValue], _ percent: Int) {
    if random.chance(percent) { level["request_headers_to_add"] = additions(ConfigurationGenerator.templates) }
    if random.chance(percent / 2) { level["request_headers_to_remove"] = removals() }
    if random.chance(percent) { level["response_headers_to_add"] = additions(ConfigurationGenerator.responseTemplates) }
    if random.chance(percent / 2) { level["response_headers_to_remove"] = removals() }
  }

  private mutating func removals() -> JSONValue {
    .array(
      (0..<Int.random(in: 1...2, using: &random)).map { _ in .string(random.pick(ConfigurationGenerator.addresses)) })
  }

  mutating func additions(_ templates: [String]) -> JSONValue {
    .array(
      (0..<Int.random(in: 1...3, using: &random)).map { _ in
        var option: [String: JSONValue] = [
          "header": [
            "key": .string(random.pick(ConfigurationGenerator.addresses)), "value": .string(random.pick(templates)),
          ]
        ]
        switch Int.random(in: 0..<3, using: &random) {
        case 0:
          option["append_action"] = random.pick([
            "APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS", 1,
          ])
        case 1: option["append"] = .bool(random.chance(50))
        default: break
        }
        if random.chance(20) { option["keep_empty_value"] = true }
        return .object(option)
      })
  }

  /// Some of the fields in the other spelling of the JSON mapping.
  mutating func spelled(_ value: JSONValue) -> JSONValue {
    switch value {
    case .object(let members):
      var result: [String: JSONValue] = [:]
      for key in members.keys.sorted() {
        guard let member = members[key] else { continue }
        // The keys of a map are no fields.
        let isField = !filters.contains { $0.name == key }
        result[isField && random.chance(20) ? camelCase(key) : key] = spelled(member)
      }
      return .object(result)
    case .array(let elements):
      var result: [JSONValue] = []
      for element in elements { result.append(spelled(element)) }
      return .array(result)
    default: return value
    }
  }

  private func camelCase(_ key: String) -> String {
    let words = key.split(separator: "_")
    return String(words[0]) + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }
}
