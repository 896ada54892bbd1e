import JSON
import Testing

@testable import Routing

@Suite struct MatchingTests {
  static let domains: [(String?, String)] = [
    ("a.example", "exact"), ("A.EXAMPLE", "exact"), ("b.example", "suffix"), ("x.b.example", "longer"),
    (".example", "any"), ("b.test", "prefix"), ("b.", "any"), ("a.example:80", "any"), ("", "any"), (nil, "any"),
  ]

  @Test(arguments: domains) func `the most specific domain`(_ authority: String?, _ expected: String) throws {
    func host(_ name: String, _ domain: String) -> JSONValue {
      [
        "name": .string(name), "domains": [.string(domain)],
        "routes": [["match": ["prefix": ""], "route": ["cluster": .string(name)]]],
      ]
    }
    let table = try table([
      "virtual_hosts": [
        host("any", "*"), host("prefix", "b.*"), host("suffix", "*.example"), host("longer", "*.b.example"),
        host("exact", "a.Example"),
      ]
    ])
    #expect(table.decision("/", host: authority) == expected)
  }

  static let paths: [(JSONValue, matching: [String], not: [String])] = [
    (["prefix": "/a"], ["/a", "/ab", "/a?x"], ["/A", "/", "/b"]),
    (["prefix": "/a", "case_sensitive": false], ["/a", "/AB"], ["/b"]),
    (["path": "/a"], ["/a", "/a?x=1"], ["/a/", "/ab", "/A"]),
    (["path_separated_prefix": "/a"], ["/a", "/a/b", "/a?x"], ["/ab", "/"]),
    (["safe_regex": ["regex": "/[0-9]+"]], ["/12", "/1?a"], ["/1a", "/", "x/1"]),
    (
      ["prefix": "/", "query_parameters": [["name": "k", "string_match": ["exact": "v"]]]], ["/?k=v", "/?a&k=v&k=w"],
      ["/", "/?k=w&k=v"]
    ),
    (["prefix": "/", "query_parameters": [["name": "k", "present_match": false]]], ["/", "/?a"], ["/?k"]),
  ]

  @Test(arguments: paths.indices) func `paths and queries`(_ index: Int) throws {
    let (match, matching, not) = MatchingTests.paths[index]
    let table = try table(configuration(["match": match, "route": ["cluster": "yes"]]))
    for path in matching { #expect(table.decision(path) == "yes", "\(path)") }
    for path in not { #expect(table.decision(path) == "404", "\(path)") }
  }

  static let headers: [(JSONValue, [(String, String)], Bool)] = [
    (["name": "A"], [("a", "")], true),
    (["name": "a", "present_match": false], [], true),
    (["name": "a", "exact_match": "x"], [("A", "x")], true),
    (["name": "a", "exact_match": "x", "invert_match": true], [], false),
    (["name": "a", "exact_match": "x", "invert_match": true, "treat_missing_header_as_empty": true], [], true),
    (["name": "a", "string_match": ["suffix": "Z", "ignore_case": true]], [("a", "xyz")], true),
    (["name": "a", "string_match": ["contains": "y"]], [("a", "xz")], false),
    (["name": "a", "range_match": ["start": "-1", "end": 10]], [("a", "9")], true),
    (["name": "a", "range_match": ["start": "-1", "end": 10]], [("a", "10")], false),
    (["name": "a", "safe_regex_match": ["regex": "x+"]], [("a", "y"), ("a", "xx")], true),
    (["name": "user-agent", "exact_match": "x,y"], [("user-agent", "x"), ("user-agent", "y")], true),
    (["name": ":method", "exact_match": "GET"], [], true),
    (["name": "host", "exact_match": "a.example"], [], true),
  ]

  @Test(arguments: headers.indices) func `headers that match`(_ index: Int) throws {
    let (matcher, lines, expected) = MatchingTests.headers[index]
    let table = try table(
      configuration(["match": ["prefix": "/", "headers": [matcher]], "route": ["cluster": "yes"]]))
    #expect(table.decision("/", lines) == (expected ? "yes" : "404"))
  }

  @Test func `the first route that matches`() throws {
    let table = try table(
      configuration(
        ["match": ["path": "/a"], "route": ["cluster": "one"]],
        ["match": ["safe_regex": ["regex": "/a.*"]], "route": ["cluster": "two"]],
        ["match": ["prefix": "/a/b"], "route": ["cluster": "three"]],
        ["match": ["prefix": "/"], "route": ["cluster": "four"]]))
    #expect(table.decision("/a") == "one" && table.decision("/a/b") == "two" && table.decision("/b") == "four")
  }

  static let actions: [(JSONValue, String)] = [
    (["route": ["cluster": "c", "prefix_rewrite": "/new"]], "c path /new/x?q=1"),
    (
      ["route": ["cluster": "c", "regex_rewrite": ["pattern": ["regex": "/(a)/(x)"], "substitution": "/\\2/\\1"]]],
      "c path /x/a?q=1"
    ),
    (["route": ["cluster": "c", "host_rewrite_literal": "h"]], "c host h"),
    (["route": ["cluster": "c", "host_rewrite_header": "x-h"]], "c host from-header"),
    (["route": ["cluster_header": "x-none"]], "none"),
    (["redirect": ["https_redirect": true]], "301 https://a.example/a/x?q=1"),
    (
      [
        "redirect": [
          "host_redirect": "b", "port_redirect": 8443, "prefix_rewrite": "/z", "strip_query": true, "response_code": 3,
        ]
      ],
      "307 http://b:8443/z/x"
    ),
    (["redirect": ["path_redirect": "/p"]], "301 http://a.example/p?q=1"),
    (["redirect": ["path_redirect": "/p?own=1", "strip_query": true]], "301 http://a.example/p?own=1"),
    (["direct_response": ["status": 418, "body": ["inline_bytes": "aGk_"]]], "418 hi?"),
    (
      [
        "route": ["cluster": "c"], "request_headers_to_remove": ["X-H"],
        "request_headers_to_add": [
          ["header": ["key": "n", "value": "%REQ(:path)%-%PROTOCOL%-100%%"]],
          ["header": ["key": "empty", "value": "%REQ(x-h)%"]],
        ],
      ], "c -x-h +n: /a/x?q=1-HTTP/1.1-100%"
    ),
  ]

  @Test(arguments: actions.indices) func `what a route does`(_ index: Int) throws {
    var route = MatchingTests.actions[index].0
    route["match"] = ["prefix": "/a"]
    let table = try table(configuration(route))
    #expect(table.decision("/a/x?q=1", [("x-h", "from-header")]) == MatchingTests.actions[index].1)
  }

  @Test func `weights are kept`() throws {
    let table = try table(
      configuration([
        "match": ["prefix": "/"],
        "route": ["weighted_clusters": ["clusters": [["name": "v1", "weight": 90], ["name": "v2", "weight": 10]]]],
      ]))
    var generator = SystemRandomNumberGenerator()
    let count = 100_000
    var second = 0
    for _ in 0..<count where table.decision("/", random: generator.next()) == "v2" { second += 1 }
    // Three standard deviations of a binomial distribution.
    #expect(abs(Double(second) - 10_000) < 3 * (Double(count) * 0.1 * 0.9).squareRoot())
  }

  @Test func `a fraction of the requests`() throws {
    let table = try table(
      configuration([
        "match": [
          "prefix": "/", "runtime_fraction": ["default_value": ["numerator": 25, "denominator": "TEN_THOUSAND"]],
        ],
        "route": ["cluster": "some"],
      ]))
    #expect(table.decision("/", random: 24) == "some" && table.decision("/", random: 25) == "404")
    #expect(table.decision("/", random: 10_024) == "some")
  }

  @Test func `a host that is only for TLS`() throws {
    let table = try table([
      "virtual_hosts": [
        [
          "name": "a", "domains": ["*"], "require_tls": "ALL",
          "routes": [["match": ["prefix": "/"], "route": ["cluster": "c"]]],
        ]
      ]
    ])
    #expect(table.decision("/x?y") == "301 https://a.example/x?y")
    #expect(table.decision("/x?y", connection: ConnectionFacts(scheme: "https")) == "c")
  }

  @Test func `hosts that did not change are taken over`() throws {
    let document = configuration(["match": ["prefix": "/"], "route": ["cluster": "c"]])
    let first = try table(document)
    let second = try RouteTable(first.configuration, reusing: first)
    #expect(second.decision("/") == "c")
  }
}
