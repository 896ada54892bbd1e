import Addressing
import JSON
import Routing
import Testing

@testable import Proxy

@Suite struct OutlierDetectorTests {
  private static let second: UInt64 = 1_000_000_000

  private func address(_ number: Int) -> SocketAddress {
    let isV4 = number.isMultiple(of: 2)
    let ip = isV4 ? IPAddress(v4: 0x0A00_0000 + UInt32(number)) : IPAddress(high: 0xFD00 << 48, low: UInt64(number))
    return SocketAddress(ip, port: 80)
  }

  private func detector(
    _ fields: [String: JSONValue] = [:], hosts: Int = 10, random: @escaping @Sendable () -> UInt64 = { 0 }
  ) throws -> OutlierDetector {
    var detector = OutlierDetector(try HealthDocuments.outliers(fields), random: random)
    detector.setHosts(Set((0..<hosts).map(address)))
    return detector
  }

  private func isEjected(_ event: OutlierDetector.Event?) -> Bool {
    if case .ejected? = event?.change { true } else { false }
  }

  /// Envoy's: base_ejection_time times the number of ejections, less one with each interval in peace.
  @Test func `an ejection is longer with each further one, and shorter again in peace`() throws {
    var detector = try detector(["base_ejection_time": "10s", "max_ejection_time": "25s", "interval": "1s"])
    var now: UInt64 = 0
    func lengthOfNext() -> UInt64 {
      let start = now
      #expect(isEjected(detector.consecutive(address(1), .consecutive5xx, now: now)))
      #expect(detector.consecutive(address(1), .consecutive5xx, now: now) == nil, "it is out already")
      while detector.isEjected(address(1)) {
        now += Self.second
        _ = detector.interval(now: now, [:])
      }
      return (now - start) / Self.second
    }
    #expect(lengthOfNext() == 10)
    #expect(lengthOfNext() == 20)
    #expect(lengthOfNext() == 25, "no more than max_ejection_time")
    #expect(lengthOfNext() == 25)
    for _ in 0..<4 {
      now += Self.second
      #expect(detector.interval(now: now, [:]).isEmpty)
    }
    #expect(lengthOfNext() == 10, "four intervals in peace forget four ejections")
  }

  @Test func `jitter is added to the ejection's length`() throws {
    var detector = try detector(
      ["base_ejection_time": "10s", "max_ejection_time_jitter": "5s", "enforcing_consecutive_5xx": 100],
      random: { 3000 })
    _ = detector.consecutive(address(1), .consecutive5xx, now: 0)
    _ = detector.interval(now: 12 * Self.second, [:])
    #expect(detector.isEjected(address(1)))
    _ = detector.interval(now: 13 * Self.second, [:])
    #expect(!detector.isEjected(address(1)))
  }

  static let limits: [(hosts: Int, fields: [String: JSONValue], ejected: Int)] = [
    (10, [:], 1), (9, [:], 0), (20, [:], 2), (3, ["max_ejection_percent": 100], 3),
    (4, ["max_ejection_percent": 50], 2),
    (3, ["always_eject_one_host": true], 1), (3, ["max_ejection_percent": 0], 0),
    (3, ["max_ejection_percent": 0, "always_eject_one_host": true], 1),
  ]

  @Test(arguments: limits)
  func `not more are out than may be`(_ hosts: Int, _ fields: [String: JSONValue], _ ejected: Int) throws {
    var detector = try detector(fields, hosts: hosts)
    for number in 0..<hosts { _ = detector.consecutive(address(number), .consecutive5xx, now: 0) }
    #expect((0..<hosts).count { detector.isEjected(address($0)) } == ejected)
  }

  @Test func `who goes makes room`() throws {
    var detector = try detector(["max_ejection_percent": 50], hosts: 2)
    #expect(isEjected(detector.consecutive(address(0), .consecutive5xx, now: 0)))
    #expect(detector.consecutive(address(1), .consecutive5xx, now: 0)?.change == .spared(.consecutive5xx))
    detector.setHosts([address(1), address(2)])
    #expect(isEjected(detector.consecutive(address(1), .consecutive5xx, now: 0)))
    #expect(detector.consecutive(address(0), .consecutive5xx, now: 0) == nil)
  }

  @Test func `a reason is enforced as often as it is to be`() throws {
    let fields: [String: JSONValue] = ["enforcing_consecutive_5xx": 30, "max_ejection_percent": 100]
    for point in [0, 29, 30, 99] as [UInt64] {
      var detector = try detector(fields, random: { point })
      #expect(isEjected(detector.consecutive(address(0), .consecutive5xx, now: 0)) == (point < 30))
    }
    // Envoy enforces this one only where it is told to.
    var detector = try detector()
    #expect(
      detector.consecutive(address(0), .consecutiveGatewayFailure, now: 0)?.change
        == .spared(.consecutiveGatewayFailure))
  }

  @Test func `a passed check brings an endpoint back, if it may`() throws {
    for isAllowed in [true, false] {
      var detector = try detector(["successful_active_health_check_uneject_host": .bool(isAllowed)])
      _ = detector.consecutive(address(0), .consecutive5xx, now: 0)
      #expect(detector.passedCheck(address(1), now: 1) == nil)
      #expect((detector.passedCheck(address(0), now: 1)?.change == .returned) == isAllowed)
      #expect(detector.isEjected(address(0)) != isAllowed)
    }
  }

  private func counts(_ rates: [(successes: UInt64, requests: UInt64)]) -> [SocketAddress: OutlierDetector.Counts] {
    Dictionary(
      uniqueKeysWithValues: rates.enumerated().map { index, rate in
        (address(index), .init(external: .init(requests: rate.requests, successes: rate.successes)))
      })
  }

  @Test func `the threshold of Envoy's example`() {
    #expect(OutlierDetector.threshold([50, 100, 100, 100, 100], deviations: 1.9) == 52)
  }

  struct RateCase: Sendable {
    var fields: [String: JSONValue] = [:]
    let rates: [(successes: UInt64, requests: UInt64)]
    let ejected: [Int]
  }

  private static let good: [(successes: UInt64, requests: UInt64)] = Array(repeating: (100, 100), count: 5)

  static let rates: [RateCase] = [
    RateCase(rates: good + [(50, 100)], ejected: [5]),
    // Of too few requests nothing is concluded.
    RateCase(rates: good + [(0, 99)], ejected: []),
    RateCase(rates: Array(good.prefix(3)) + [(50, 100)], ejected: []),
    RateCase(rates: good + [(50, 100)], ejected: []).with(["enforcing_success_rate": 0]),
    // The mean is 90 and a deviation 20.
    RateCase(rates: Array(good.prefix(4)) + [(50, 100)], ejected: [4]),
    RateCase(rates: Array(good.prefix(4)) + [(50, 100)], ejected: []).with(["success_rate_stdev_factor": 2000]),
    RateCase(rates: good + [(15, 100)], ejected: [5]).with([
      "enforcing_success_rate": 0, "enforcing_failure_percentage": 100,
    ]),
    RateCase(rates: good + [(16, 100)], ejected: []).with([
      "enforcing_success_rate": 0, "enforcing_failure_percentage": 100,
    ]),
    RateCase(rates: [(0, 50), (0, 49)], ejected: [0]).with([
      "failure_percentage_minimum_hosts": 1, "enforcing_failure_percentage": 100,
    ]),
  ]

  @Test(arguments: rates) func `rates of an interval`(_ example: RateCase) throws {
    let fields = example.fields.merging(["max_ejection_percent": 100]) { $1 }
    var detector = try detector(fields, hosts: example.rates.count)
    let events = detector.interval(now: 1, counts(example.rates))
    #expect(events.filter(isEjected).map(\.address) == example.ejected.map(address))
  }

  @Test func `local failures have reasons of their own`() throws {
    var detector = try detector(["max_ejection_percent": 100], hosts: 6)
    let all = counts(Self.good + [(50, 100)]).mapValues { OutlierDetector.Counts(local: $0.external) }
    let event = detector.interval(now: 1, all).first
    guard case .ejected(let reason, _)? = event?.change else { throw Failure() }
    #expect(reason == .localOriginSuccessRate && event?.address == address(5))
  }

  private struct Failure: Error {}

  /// The same rules told once more, slowly: with every ejection of an address on a list.
  @Test func `as the slow rules for generated histories`() throws {
    for _ in 0..<300 {
      let hosts = Int.random(in: 1...8)
      let percent = [0, 20, 50, 100].randomElement()!
      let always = Bool.random()
      var detector = try detector(
        [
          "max_ejection_percent": .integer(Int64(percent)), "always_eject_one_host": .bool(always),
          "base_ejection_time": "3s", "max_ejection_time": "7s", "interval": "1s",
        ], hosts: hosts)
      var out: [Int: UInt64] = [:]
      var backoff: [Int: Int] = [:]
      var back: [Int: UInt64] = [:]
      var now: UInt64 = 0
      for _ in 0..<200 {
        now += Self.second * UInt64.random(in: 0...1)
        let number = Int.random(in: 0..<hosts)
        if Bool.random() {
          let may = 100 * (out.count + 1) <= percent * hosts || always && out.isEmpty
          let expected = out[number] == nil && may
          #expect(isEjected(detector.consecutive(address(number), .consecutive5xx, now: now)) == expected)
          if expected {
            out[number] = now
            if backoff[number, default: 0] * 3 < 10 { backoff[number, default: 0] += 1 }
          }
        } else {
          now += Self.second
          _ = detector.interval(now: now, [:])
          for (number, since) in out where now - since >= Self.second * UInt64(min(7, 3 * backoff[number]!)) {
            out[number] = nil
            back[number] = now
          }
          for (number, since) in back where out[number] == nil && now - since >= Self.second {
            backoff[number] = max(0, backoff[number]! - 1)
          }
        }
        #expect(Set(out.keys) == Set((0..<hosts).filter { detector.isEjected(address($0)) }))
      }
    }
  }
}

extension OutlierDetectorTests.RateCase {
  fileprivate func with(_ fields: [String: JSONValue]) -> Self { Self(fields: fields, rates: rates, ejected: ejected) }
}

@Suite struct OutlierMonitorTests {
  private func reasons(_ fields: [String: JSONValue], _ outcomes: [AttemptOutcome]) throws -> [String] {
    let monitor = OutlierMonitor(try HealthDocuments.outliers(fields))
    var reasons: [String] = []
    for (index, outcome) in outcomes.enumerated() {
      monitor.note(outcome) { reasons.append("\(index) \($0.rawValue)") }
    }
    return reasons
  }

  static let three: [String: JSONValue] = [
    "consecutive_5xx": 3, "consecutive_gateway_failure": 2, "consecutive_local_origin_failure": 2,
  ]

  static let cases: [(splits: Bool, outcomes: [AttemptOutcome], reasons: [String])] = [
    (false, [.answered(500), .answered(500), .answered(500)], ["2 consecutive_5xx"]),
    (false, [.answered(500), .answered(499), .answered(500), .answered(501)], []),
    (
      false, [.answered(502), .answered(503), .answered(504), .answered(504)],
      ["1 consecutive_gateway_failure", "2 consecutive_5xx"]
    ),
    // 500 is no failure of a gateway.
    (false, [.answered(502), .answered(500), .answered(502)], ["2 consecutive_5xx"]),
    // Without an answer: 503, and 504.
    (
      false, [.failed(isConnected: false), .timedOut(isConnected: true), .answered(500)],
      ["1 consecutive_gateway_failure", "2 consecutive_5xx"]
    ),
    (true, [.failed(isConnected: false), .failed(isConnected: false)], ["1 consecutive_local_origin_failure"]),
    (true, [.failed(isConnected: false), .answered(500), .timedOut(isConnected: false)], []),
    // As in Envoy, to have been connected ends the row.
    (true, [.failed(isConnected: true), .failed(isConnected: true), .timedOut(isConnected: true)], []),
    (true, [.answered(500), .answered(502), .answered(500), .failed(isConnected: false)], ["2 consecutive_5xx"]),
  ]

  @Test(arguments: cases)
  func `failures in a row`(_ splits: Bool, _ outcomes: [AttemptOutcome], _ expected: [String]) throws {
    let fields = Self.three.merging(["split_external_local_origin_errors": .bool(splits)]) { $1 }
    #expect(try reasons(fields, outcomes) == expected)
  }

  @Test func `what is forgotten is counted anew`() throws {
    let monitor = OutlierMonitor(try HealthDocuments.outliers(["consecutive_5xx": 2]))
    var count = 0
    for _ in 0..<3 {
      monitor.note(.answered(500)) { _ in count += 1 }
      monitor.forget(.consecutiveGatewayFailure)
    }
    #expect(count == 1)
    monitor.forget(nil)
    monitor.note(.answered(500)) { _ in count += 1 }
    #expect(count == 1)
    #expect(monitor.external == .init(requests: 4, successes: 0) && monitor.local == .init())
  }
}
