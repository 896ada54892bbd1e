import Addressing
import JSON
import Routing
import Testing

@testable import Proxy

@Suite struct CheckStateTests {
  private func run(_ results: String, healthy: Int64, unhealthy: Int64) throws -> String {
    var state = CheckState(
      try HealthDocuments.check(["healthy_threshold": .integer(healthy), "unhealthy_threshold": .integer(unhealthy)]))
    return String(
      results.map { result in
        switch result {
        case "+": _ = state.pass()
        case "-": _ = state.fail(isFinal: false)
        default: _ = state.fail(isFinal: true)
        }
        return state.isHealthy ? "H" : "u"
      })
  }

  /// `+` passed, `-` failed, `!` failed for good; what the endpoint is behind each.
  static let cases: [(results: String, healthy: Int64, unhealthy: Int64, states: String)] = [
    // The first success of all is enough, and only that.
    ("+++", 3, 2, "HHH"), ("-+++", 3, 2, "uuuH"), ("-++-+++", 3, 2, "uuuuuuH"),
    ("+-+-+", 1, 2, "HHHHH"), ("+--", 1, 2, "HHu"), ("+--++", 2, 2, "HHuuH"), ("+-+--", 1, 2, "HHHHu"),
    ("+!", 1, 5, "Hu"), ("+!+", 1, 5, "HuH"), ("!+", 1, 5, "uH"), ("+--+--", 1, 2, "HHuHHu"),
  ]

  @Test(arguments: cases)
  func `thresholds`(_ results: String, _ healthy: Int64, _ unhealthy: Int64, _ states: String) throws {
    #expect(try run(results, healthy: healthy, unhealthy: unhealthy) == states)
  }

  /// Looked up in the history: how long the last row of equal results is.
  @Test func `as the slow rule for generated histories`() throws {
    for _ in 0..<500 {
      let healthy = Int64.random(in: 1...4)
      let unhealthy = Int64.random(in: 1...4)
      let results = String((0..<40).map { _ in "++--!".randomElement()! })
      var isHealthy = false
      var expected = ""
      for end in results.indices {
        let past = results[...end]
        let row = past.reversed().prefix { ($0 == "+") == (past.last == "+") }
        let sinceChange = Array(zip(past, "u" + expected)).reversed().prefix {
          ($0.0 == "+") == (past.last == "+") && ($0.1 == "H") == isHealthy
        }
        if past.last == "+" {
          isHealthy = isHealthy || past.count == 1 || row.count >= healthy && sinceChange.count >= healthy
        } else if isHealthy {
          isHealthy = !(past.last == "!" || sinceChange.count >= unhealthy)
        }
        expected += isHealthy ? "H" : "u"
      }
      #expect(
        try run(results, healthy: healthy, unhealthy: unhealthy) == expected, "\(results) \(healthy) \(unhealthy)")
    }
  }

  @Test func `intervals`() throws {
    let check = try HealthDocuments.check([
      "interval": "10s", "healthy_edge_interval": "1s", "unhealthy_interval": "20s", "unhealthy_edge_interval": "2s",
      "no_traffic_interval": "60s", "no_traffic_healthy_interval": "90s",
    ])
    func delay(_ isPassed: Bool, _ transition: CheckState.Transition, _ hasTraffic: Bool) -> Duration {
      check.delay(afterPassing: isPassed, transition, hasTraffic: hasTraffic) { 0 }
    }
    #expect(delay(true, .unchanged, true) == .seconds(10))
    #expect(delay(true, .changed, true) == .seconds(10))
    #expect(delay(true, .pending, true) == .seconds(1))
    #expect(delay(false, .unchanged, true) == .seconds(20))
    #expect(delay(false, .pending, true) == .seconds(2))
    #expect(delay(true, .unchanged, false) == .seconds(90))
    #expect(delay(true, .pending, false) == .seconds(60))
    #expect(delay(false, .unchanged, false) == .seconds(60))
  }

  @Test func `jitter`() throws {
    let check = try HealthDocuments.check([
      "interval": "10s", "interval_jitter": "1s", "interval_jitter_percent": 10, "initial_jitter": "3s",
    ])
    func most(_ random: UInt64) -> Duration {
      check.delay(afterPassing: true, .unchanged, hasTraffic: true) { random }
    }
    #expect(most(0) == .seconds(10))
    #expect(most(999) == .milliseconds(10_000 + 999 + 999))
    #expect(check.firstDelay { 2999 } == .milliseconds(2999))
    #expect(try HealthDocuments.check(["initial_jitter": "0s"]).firstDelay { 5 } == .zero)
  }
}

@Suite struct CheckExchangeTests {
  private func exchange(_ fields: [String: JSONValue]) throws -> CheckExchange {
    CheckExchange(
      EndpointCheck(
        check: try HealthDocuments.check(fields), address: SocketAddress(IPAddress(v4: 0x7F00_0001), port: 1),
        host: "h"))
  }

  @Test func `the request`() throws {
    let plain = try exchange([:])
    #expect(
      String(decoding: plain.request, as: UTF8.self)
        == "GET /health HTTP/1.1\r\nhost: h\r\nuser-agent: Envoy/HC\r\nconnection: close\r\n\r\n")
    let other = try exchange([
      "http_health_check": [
        "path": "/x?y", "method": "POST",
        "request_headers_to_add": [
          ["header": ["key": "User-Agent", "value": "me"], "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"],
          ["header": ["key": "x-a", "value": "1"]], ["header": ["key": "x-a", "value": "2"]],
          ["header": ["key": "x-a", "value": "3"], "append_action": "ADD_IF_ABSENT"],
        ],
      ]
    ])
    #expect(
      String(decoding: other.request, as: UTF8.self)
        == "POST /x?y HTTP/1.1\r\nhost: h\r\nuser-agent: me\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 0\r\n"
        + "connection: close\r\n\r\n")
  }

  static let answers: [(probe: JSONValue, answer: String, progress: CheckExchange.Progress)] = [
    (["path": "/"], "HTTP/1.1 200 OK\r\n\r\n", .passed(isDegraded: false)),
    (["path": "/"], "HTTP/1.1 200 OK\r\nX-Envoy-Degraded: \r\n\r\n", .passed(isDegraded: true)),
    (["path": "/"], "HTTP/1.1 200 OK\r\n", .waiting),
    (["path": "/"], "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", .passed(isDegraded: false)),
    (["path": "/"], "HTTP/1.1 201 Created\r\n\r\n", .failed(.status(201, isRetriable: false))),
    (
      ["path": "/", "expected_statuses": [["start": 201, "end": 202]]], "HTTP/1.0 201 Created\r\n\r\n",
      .passed(isDegraded: false)
    ),
    (
      ["path": "/", "expected_statuses": [["start": 201, "end": 202]]], "HTTP/1.1 200 OK\r\n\r\n",
      .failed(.status(200, isRetriable: false))
    ),
    (
      ["path": "/", "retriable_statuses": [["start": 500, "end": 600]]], "HTTP/1.1 503 No\r\n\r\n",
      .failed(.status(503, isRetriable: true))
    ),
    (["path": "/"], "220 mail.example\r\n\r\n", .failed(.malformed)),
  ]

  @Test(arguments: answers)
  func `answers of HTTP`(_ probe: JSONValue, _ answer: String, _ progress: CheckExchange.Progress) throws {
    var whole = try exchange(["http_health_check": probe])
    #expect(whole.connected() == .waiting)
    #expect(whole.receive(Array(answer.utf8)) == progress)
    var parts = try exchange(["http_health_check": probe])
    var last = CheckExchange.Progress.waiting
    for octet in answer.utf8 where last == .waiting { last = parts.receive([octet]) }
    #expect(last == progress)
  }

  @Test func `payloads of TCP, each behind the one before`() throws {
    #expect(try exchange(["tcp_health_check": .object([:])]).connected() == .passed(isDegraded: false))
    var probe = try exchange([
      "tcp_health_check": ["send": ["text": "50494E47"], "receive": [["text": "504f"], ["binary": "Rw=="]]]
    ])
    #expect(probe.request == Array("PING".utf8) && probe.connected() == .waiting)
    #expect(probe.receive(Array("GP".utf8)) == .waiting)
    #expect(probe.receive(Array("O-N".utf8)) == .waiting)
    #expect(probe.receive(Array("G".utf8)) == .passed(isDegraded: false))
  }
}
