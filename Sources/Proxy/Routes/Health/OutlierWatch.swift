import Routing

/// The outlier detection of one cluster at work: what is counted of its endpoints goes in, their health comes out.
final class OutlierWatch {
  struct Key: Hashable {
    let cluster: ClusterMetrics.Key
    let detection: OutlierDetection
  }

  /// Of its timer.
  let number: UInt32
  let key: Key
  private let metrics: ClusterMetrics
  private var detector: OutlierDetector
  /// An address may have several names.
  private var endpoints: [SocketAddress: [RoutedEndpoint]] = [:]
  /// What had been counted when the interval began.
  private var counted: [ObjectIdentifier: OutlierDetector.Counts] = [:]
  private var ejections: [SocketAddress: (reason: OutlierDetection.Reason, until: UInt64)] = [:]
  private(set) var deadline: UInt64

  var detection: OutlierDetection { key.detection }

  init(_ number: UInt32, _ key: Key, _ metrics: ClusterMetrics, now: UInt64) {
    self.number = number
    self.key = key
    self.metrics = metrics
    detector = OutlierDetector(key.detection)
    deadline = now.later(by: key.detection.interval.nanoseconds)
  }

  func setEndpoints(_ all: [RoutedEndpoint]) {
    var found: [SocketAddress: [RoutedEndpoint]] = [:]
    for endpoint in all where !found[endpoint.address, default: []].contains(where: { $0 === endpoint }) {
      found[endpoint.address, default: []].append(endpoint)
    }
    endpoints = found
    detector.setHosts(Set(found.keys))
    ejections = ejections.filter { found[$0.key] != nil }
    let objects = Set(found.values.joined().map(ObjectIdentifier.init))
    counted = counted.filter { objects.contains($0.key) }
  }

  func suspect(_ suspect: HealthSuspects.Suspect, now: UInt64) -> OutlierDetector.Event? {
    let event = detector.consecutive(suspect.endpoint.address, suspect.reason, now: now)
    // The next failures make another reason, also where this one was not enforced.
    if event != nil { suspect.endpoint.forgetFailures(suspect.reason) }
    return event
  }

  func passedCheck(_ address: SocketAddress, now: UInt64) -> OutlierDetector.Event? {
    detector.passedCheck(address, now: now)
  }

  func endInterval(_ now: UInt64) -> [OutlierDetector.Event] {
    deadline = now.later(by: detection.interval.nanoseconds)
    let counts = endpoints.mapValues { endpoints in
      endpoints.reduce(into: OutlierDetector.Counts()) { sum, endpoint in
        let all = endpoint.counts
        let before = counted.updateValue(all, forKey: ObjectIdentifier(endpoint)) ?? .init()
        sum.external = sum.external + (all.external - before.external)
        sum.local = sum.local + (all.local - before.local)
      }
    }
    return detector.interval(now: now, counts)
  }

  /// Makes the endpoints be as the detector has decided.
  func apply(_ event: OutlierDetector.Event) {
    for endpoint in endpoints[event.address] ?? [] {
      switch event.change {
      case .ejected(let reason, let until):
        ejections[event.address] = (reason, until)
        endpoint.health.insert(.isEjected)
        metrics.ejected(reason)
      case .returned:
        ejections[event.address] = nil
        // Few new failures of another kind are not to take it out again.
        endpoint.forgetFailures()
        endpoint.health.remove(.isEjected)
      case .spared: break
      }
    }
  }

  /// Why an endpoint is out; nil for one that is not.
  func standing(_ address: SocketAddress) -> String? {
    ejections[address].map { "ejected until \(HealthReporter.text($0.until)): \(detection.words($0.reason))" }
  }
}

extension OutlierDetection {
  /// Why, as a person reads it.
  func words(_ reason: Reason) -> String {
    switch reason {
    case .consecutive5xx: "\(consecutive[reason] ?? 0) answers of 5xx in a row"
    case .consecutiveGatewayFailure: "\(consecutive[reason] ?? 0) answers of 502, 503 or 504 in a row"
    case .consecutiveLocalOriginFailure: "\(consecutive[reason] ?? 0) requests in a row without an answer"
    case .successRate: "fewer of its answers are good than of the others'"
    case .localOriginSuccessRate: "fewer of its requests are answered than of the others'"
    case .failurePercentage: "\(failureThreshold) % of its answers or more are 5xx"
    case .localOriginFailurePercentage: "\(failureThreshold) % of its requests or more are not answered"
    }
  }
}
