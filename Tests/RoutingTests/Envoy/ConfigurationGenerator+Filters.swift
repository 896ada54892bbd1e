import JSON
import TestSupport

/// Filters of a listener, and what its routes say to them.
extension ConfigurationGenerator {
  struct Filter {
    let name: String
    let kind: String
  }

  static let filterKinds = ["header_mutation", "cors", "rbac", "fault", "local_ratelimit", "buffer"]
  private static let prefix = "type.googleapis.com/envoy.extensions.filters.http."
  private static let types = [
    "header_mutation": "header_mutation.v3.HeaderMutation", "cors": "cors.v3.Cors", "rbac": "rbac.v3.RBAC",
    "fault": "fault.v3.HTTPFault", "local_ratelimit": "local_ratelimit.v3.LocalRateLimit", "buffer": "buffer.v3.Buffer",
  ]
  private static let routeTypes = [
    "header_mutation": "header_mutation.v3.HeaderMutationPerRoute", "cors": "cors.v3.CorsPolicy",
    "rbac": "rbac.v3.RBACPerRoute", "fault": "fault.v3.HTTPFault",
    "local_ratelimit": "local_ratelimit.v3.LocalRateLimit", "buffer": "buffer.v3.BufferPerRoute",
  ]

  /// Chooses the filters of a listener.
  mutating func makeFilters() {
    filters = []
    guard random.chance(70) else { return }
    for kind in ConfigurationGenerator.filterKinds where random.chance(35) {
      for number in 0..<(random.chance(25) ? 2 : 1) { filters.append(Filter(name: "\(kind)-\(number)", kind: kind)) }
    }
    filters.shuffle(using: &random)
    var documents: [JSONValue] = []
    for filter in filters {
      var config = listenerConfig(filter.kind)
      config["@type"] = .string(ConfigurationGenerator.prefix + (ConfigurationGenerator.types[filter.kind] ?? ""))
      var document: [String: JSONValue] = ["name": .string(filter.name), "typed_config": .object(config)]
      if random.chance(15) { document["disabled"] = true }
      documents.append(spelled(.object(document)))
    }
    filterDocuments = documents
  }

  /// What a level of the routes says.
  mutating func addFilters(_ level: inout [String: JSONValue], _ percent: Int) {
    var configs: [String: JSONValue] = [:]
    for filter in filters where random.chance(filter.kind == "cors" ? 3 * percent : percent) {
      var config = routeConfig(filter.kind)
      config["@type"] = .string(ConfigurationGenerator.prefix + (ConfigurationGenerator.routeTypes[filter.kind] ?? ""))
      switch Int.random(in: 0..<10, using: &random) {
      case 0, 1: configs[filter.name] = wrapped(["disabled": true])
      case 2: configs[filter.name] = wrapped(["config": [:]])
      case 3: configs[filter.name] = wrapped(["config": .object(config)])
      default: configs[filter.name] = .object(config)
      }
    }
    if !configs.isEmpty { level["typed_per_filter_config"] = .object(configs) }
  }

  private func wrapped(_ config: [String: JSONValue]) -> JSONValue {
    var config = config
    config["@type"] = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
    return .object(config)
  }

  private mutating func listenerConfig(_ kind: String) -> [String: JSONValue] {
    switch kind {
    case "header_mutation":
      return ["mutations": mutations(), "most_specific_header_mutations_wins": .bool(random.chance(50))]
    case "cors": return [:]
    case "rbac": return accessControl()
    case "fault": return fault()
    case "local_ratelimit":
      var limit = rateLimit()
      if random.chance(30) { limit["token_bucket"] = nil }
      return limit
    default: return ["max_request_bytes": 1_000_000]
    }
  }

  private mutating func routeConfig(_ kind: String) -> [String: JSONValue] {
    switch kind {
    case "header_mutation": ["mutations": mutations()]
    case "cors": corsPolicy()
    case "rbac": random.chance(20) ? [:] : ["rbac": .object(accessControl())]
    case "fault": fault()
    case "local_ratelimit": rateLimit()
    default: random.chance(50) ? ["disabled": true] : ["buffer": ["max_request_bytes": 1_000_000]]
    }
  }

  // MARK: Header mutation

  private mutating func mutations() -> JSONValue {
    [
      "request_mutations": mutationList(ConfigurationGenerator.templates),
      "response_mutations": mutationList(
        ConfigurationGenerator.responseTemplates.filter { !$0.contains("RESPONSE_CODE") }),
    ]
  }

  private mutating func mutationList(_ templates: [String]) -> JSONValue {
    .array(
      (0..<Int.random(in: 0...3, using: &random)).map { _ in
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return ["remove": .string(random.pick(ConfigurationGenerator.addresses))]
        case 1:
          return [
            "remove_on_match": [
              "key_matcher": random.pick([
                ["prefix": "x-m"], ["exact": "x-a"], ["suffix": "-b"], ["contains": "-u"],
                ["safe_regex": ["regex": "x-[an].*"]],
              ])
            ]
          ]
        default: return ["append": additions(templates).elements[0]]
        }
      })
  }

  // MARK: CORS

  private mutating func corsPolicy() -> [String: JSONValue] {
    var policy: [String: JSONValue] = [:]
    if random.chance(80) {
      policy["allow_origin_string_match"] = .array(
        (0..<Int.random(in: 1...2, using: &random)).map { _ in
          random.pick([
            ["exact": "http://a.example"], ["exact": "*"], ["prefix": "http://b"], ["suffix": ".example"],
            ["safe_regex": ["regex": "https?://[a-z]+"]], ["exact": "HTTP://A.EXAMPLE", "ignore_case": true],
          ])
        })
    }
    if random.chance(50) { policy["allow_methods"] = .string(random.pick(["GET,POST", "*", ""])) }
    if random.chance(50) { policy["allow_headers"] = .string(random.pick(["x-a", "*", ""])) }
    if random.chance(50) { policy["expose_headers"] = .string(random.pick(["x-up", "*", ""])) }
    if random.chance(40) { policy["max_age"] = .string(random.pick(["600", ""])) }
    if random.chance(40) { policy["allow_credentials"] = .bool(random.chance(60)) }
    if random.chance(30) { policy["allow_private_network_access"] = .bool(random.chance(60)) }
    if random.chance(40) { policy["forward_not_matching_preflights"] = .bool(random.chance(50)) }
    if random.chance(20) { policy["filter_enabled"] = runtimeFraction() }
    if random.chance(20) { policy["shadow_enabled"] = runtimeFraction() }
    return policy
  }

  /// All or nothing.
  private mutating func runtimeFraction(_ percent: Int = 50) -> JSONValue { ["default_value": fraction(percent)] }

  private mutating func fraction(_ percent: Int = 50) -> JSONValue {
    random.chance(percent)
      ? ["numerator": 1_000_000, "denominator": "MILLION"]
      : ["numerator": 0, "denominator": .integer(random.pick([0, 1]))]
  }

  // MARK: Access rules

  private mutating func accessControl() -> [String: JSONValue] {
    var control: [String: JSONValue] = [:]
    if random.chance(85) { control["rules"] = accessRules() }
    if random.chance(30) { control["shadow_rules"] = accessRules() }
    return control
  }

  private mutating func accessRules() -> JSONValue {
    var policies: [String: JSONValue] = [:]
    for index in 0..<Int.random(in: 0...2, using: &random) {
      policies["policy\(index)"] = [
        "permissions": .array((0..<Int.random(in: 1...2, using: &random)).map { _ in permission(2) }),
        "principals": .array((0..<Int.random(in: 1...2, using: &random)).map { _ in principal(2) }),
      ]
    }
    // Else nearly everything would be denied.
    return ["action": policies.isEmpty || random.chance(70) ? "DENY" : "ALLOW", "policies": .object(policies)]
  }

  private mutating func permission(_ depth: Int) -> JSONValue {
    switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &random) {
    case 0: ["any": true]
    case 1, 2: ["header": headerMatcher()]
    case 3: ["url_path": ["path": pathMatcher()]]
    case 4: ["destination_port": 80]
    case 5: ["destination_port_range": ["start": 0, "end": 65536]]
    case 6: ["and_rules": ["rules": [permission(depth - 1), permission(depth - 1)]]]
    case 7: ["or_rules": ["rules": [permission(depth - 1), permission(depth - 1)]]]
    default: ["not_rule": permission(depth - 1)]
    }
  }

  private mutating func principal(_ depth: Int) -> JSONValue {
    switch Int.random(in: 0..<(depth > 0 ? 8 : 5), using: &random) {
    case 0, 1: ["any": true]
    case 2, 3: ["header": headerMatcher()]
    case 4: ["url_path": ["path": pathMatcher()]]
    case 5: ["and_ids": ["ids": [principal(depth - 1), principal(depth - 1)]]]
    case 6: ["or_ids": ["ids": [principal(depth - 1), principal(depth - 1)]]]
    default: ["not_id": principal(depth - 1)]
    }
  }

  private mutating func pathMatcher() -> JSONValue {
    random.pick([
      ["exact": "/a"], ["prefix": "/a"], ["suffix": "b"], ["contains": "?"], ["contains": "api"],
      ["safe_regex": ["regex": "/[ab]*"]], ["prefix": "/A", "ignore_case": true],
    ])
  }

  // MARK: Faults

  private mutating func fault() -> [String: JSONValue] {
    var fault: [String: JSONValue] = [:]
    if random.chance(30) {
      fault["delay"] =
        random.chance(50)
        ? ["fixed_delay": "0.001s", "percentage": fraction(30)] : ["header_delay": [:], "percentage": fraction(70)]
    }
    if random.chance(60) {
      var abort: [String: JSONValue] = ["percentage": fraction(60)]
      if random.chance(50) {
        abort["http_status"] = .integer(random.pick([503, 404, 200, 429]))
      } else {
        abort["header_abort"] = [:]
      }
      if random.chance(20) { abort["response_body"] = "broken" }
      fault["abort"] = .object(abort)
    }
    if random.chance(20) { fault["upstream_cluster"] = .string(random.pick(EnvoyProcess.clusters)) }
    if random.chance(70) { fault["headers"] = [headerMatcher()] }
    return fault
  }

  // MARK: Rate limits

  private mutating func rateLimit() -> [String: JSONValue] {
    var limit: [String: JSONValue] = [
      "stat_prefix": "l",
      "token_bucket": [
        "max_tokens": .integer(random.pick([1, 20, 100, 10_000])), "tokens_per_fill": .integer(random.pick([1, 100])),
        "fill_interval": "360000s",
      ],
    ]
    if random.chance(85) { limit["filter_enabled"] = runtimeFraction(85) }
    if random.chance(85) { limit["filter_enforced"] = runtimeFraction(60) }
    if random.chance(40) { limit["status"] = ["code": random.pick(["TooManyRequests", 503, "NotFound"])] }
    if random.chance(50) {
      limit["response_headers_to_add"] = additions(
        ConfigurationGenerator.responseTemplates.filter { !$0.contains("RESPONSE_CODE") })
    }
    if random.chance(50) {
      limit["request_headers_to_add_when_not_enforced"] = additions(ConfigurationGenerator.templates)
    }
    return limit
  }
}

extension JSONValue {
  fileprivate var elements: [JSONValue] {
    if case .array(let elements) = self { elements } else { [] }
  }
}
