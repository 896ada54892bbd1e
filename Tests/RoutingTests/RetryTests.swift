import JSON
import ProxyRules
import Testing

@testable import Routing

@Suite struct RetryTests {
  private func rules(_ policy: JSONValue) throws -> RetryRules {
    try RetryRules(try RetryPolicy(JSONCursor(policy)))
  }

  static let failures: [(String, Set<RetryRules.Failure>)] = [
    ("", []), ("5xx", [.connect, .reset, .resetBeforeRequest, .timeout]),
    ("gateway-error", [.connect, .reset, .resetBeforeRequest, .timeout]),
    ("reset", [.connect, .reset, .resetBeforeRequest, .timeout]), ("connect-failure", [.connect]),
    ("reset-before-request", [.connect, .resetBeforeRequest]),
    ("retriable-4xx,retriable-status-codes,retriable-headers,unavailable,refused-stream", []),
  ]

  @Test(arguments: failures) func `attempts without a response`(
    _ conditions: String, _ expected: Set<RetryRules.Failure>
  ) throws {
    let rules = try rules(["retry_on": .string(conditions)])
    for failure in [RetryRules.Failure.connect, .reset, .resetBeforeRequest, .timeout] {
      #expect(rules.retries(failure) == expected.contains(failure), "\(failure)")
    }
  }

  static let responses: [(JSONValue, UInt16, [(String, String)], Bool)] = [
    (["retry_on": "5xx"], 500, [], true), (["retry_on": "5xx"], 599, [], true), (["retry_on": "5xx"], 499, [], false),
    (["retry_on": "5xx"], 503, [("X-Envoy-RateLimited", "")], false),
    (["retry_on": "gateway-error"], 502, [], true), (["retry_on": "gateway-error"], 504, [], true),
    (["retry_on": "gateway-error"], 505, [], false), (["retry_on": "retriable-4xx"], 409, [], true),
    (["retry_on": "retriable-4xx"], 408, [], false),
    (["retry_on": "5xx", "retriable_status_codes": [404]], 404, [], false),
    (["retry_on": "5xx,retriable-status-codes", "retriable_status_codes": [404]], 404, [], true),
    (
      ["retry_on": "retriable-headers", "retriable_headers": [["name": "a", "exact_match": "b"]]], 200, [("A", "b")],
      true
    ),
    (
      ["retry_on": "retriable-headers", "retriable_headers": [["name": "a", "exact_match": "b"]]], 200, [("a", "c")],
      false
    ),
    (["retry_on": "cancelled"], 200, [("grpc-status", "1")], true),
    (["retry_on": "deadline-exceeded"], 200, [("grpc-status", "4")], true),
    (["retry_on": "internal"], 200, [("grpc-status", "13")], true),
    (["retry_on": "resource-exhausted"], 200, [("grpc-status", "8")], true),
    (["retry_on": "unavailable"], 200, [("grpc-status", "14")], true),
    (["retry_on": "unavailable"], 200, [("grpc-status", "x")], false),
    (["retry_on": "connect-failure"], 503, [], false),
  ]

  @Test(arguments: responses.indices) func `responses that are dropped`(_ index: Int) throws {
    let (policy, status, headers, expected) = RetryTests.responses[index]
    let rules = try rules(policy)
    let response = HTTPRequestDescription(path: "", headers: headers.map { (name: $0.0, value: $0.1) })
    #expect(response.withFacts { rules.retries(status: status, headers: $0.headers) } == expected)
  }

  @Test func `requests that may be sent again`() throws {
    func allows(_ policy: JSONValue, _ headers: [(name: String, value: String)] = []) throws -> Bool {
      let rules = try rules(policy)
      return HTTPRequestDescription(path: "/", headers: headers).withFacts {
        rules.allows(RequestView($0, connection: ConnectionFacts()))
      }
    }
    let marked: JSONValue = ["retry_on": "5xx", "retriable_request_headers": [["name": "x"], ["name": "y"]]]
    #expect(try allows(["retry_on": "5xx"]))
    #expect(try !allows([:]))
    #expect(try !allows(["retry_on": "5xx", "num_retries": 0]))
    #expect(try !allows(marked))
    #expect(try allows(marked, [(name: "Y", value: "")]))
  }

  @Test func `waits double up to the largest`() throws {
    let rules = try rules([
      "retry_on": "5xx", "retry_back_off": ["base_interval": "0.010s", "max_interval": "0.035s"],
    ])
    let largest = (1...5).map { attempt in
      (0..<1000).map { rules.delay(before: attempt, random: UInt64($0)) }.max()
    }
    #expect(largest == [9, 19, 34, 34, 34].map { Duration.milliseconds($0) })
    #expect(rules.delay(before: 100, random: 34) == .milliseconds(34))
  }
}
