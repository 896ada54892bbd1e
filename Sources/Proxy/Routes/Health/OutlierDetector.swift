import Routing

/// Decides which endpoints of a cluster are taken out for what became of their requests, and when they come back, as Envoy
/// does. Pure: told the time, and of each endpoint what was counted.
struct OutlierDetector: Sendable {
  struct Event: Hashable, Sendable {
    enum Change: Hashable, Sendable {
      /// Back at a look after `until` (nanoseconds of the clock that the detector is told).
      case ejected(OutlierDetection.Reason, until: UInt64)
      /// There was a reason, and it was not enforced, or there are as many out as may be.
      case spared(OutlierDetection.Reason)
      case returned
    }

    let address: SocketAddress
    let change: Change
  }

  /// What was counted of an endpoint in one interval.
  struct Counts: Hashable, Sendable {
    var external = OutlierMonitor.Totals()
    var local = OutlierMonitor.Totals()
  }

  private struct Host {
    var ejectedAt: UInt64?
    var returnedAt: UInt64?
    /// How many base times an ejection lasts.
    var backoff: UInt64 = 0
    var jitter: UInt64 = 0
  }

  let detection: OutlierDetection
  private var hosts: [SocketAddress: Host] = [:]
  private var ejected = 0
  private let random: @Sendable () -> UInt64

  init(_ detection: OutlierDetection, random: @escaping @Sendable () -> UInt64 = { .random(in: .min ... .max) }) {
    self.detection = detection
    self.random = random
  }

  /// Takes up who is new, and forgets who has gone.
  mutating func setHosts(_ addresses: Set<SocketAddress>) {
    for (address, host) in hosts where !addresses.contains(address) {
      if host.ejectedAt != nil { ejected -= 1 }
      hosts[address] = nil
    }
    for address in addresses where hosts[address] == nil { hosts[address] = Host() }
  }

  func isEjected(_ address: SocketAddress) -> Bool { hosts[address]?.ejectedAt != nil }

  /// There were as many failures in a row as there may be. nil where that changes nothing.
  mutating func consecutive(_ address: SocketAddress, _ reason: OutlierDetection.Reason, now: UInt64) -> Event? {
    guard let host = hosts[address], host.ejectedAt == nil else { return nil }
    return eject(address, reason, now)
  }

  /// A check was passed.
  mutating func passedCheck(_ address: SocketAddress, now: UInt64) -> Event? {
    guard detection.returnsWithPassedCheck, isEjected(address) else { return nil }
    return giveBack(address, now)
  }

  /// An interval is over.
  ///
  /// - Parameter counts: What was counted of each endpoint in it.
  mutating func interval(now: UInt64, _ counts: [SocketAddress: Counts]) -> [Event] {
    var events: [Event] = []
    for address in hosts.keys.sorted() {
      guard let host = hosts[address], let since = host.ejectedAt else { continue }
      if now &- since >= length(host) { events.append(giveBack(address, now)) }
    }
    let isEnough =
      hosts.count >= detection.successRate.minimumHosts || hosts.count >= detection.failurePercentage.minimumHosts
    if isEnough {
      events += look(counts.mapValues(\.external), .successRate, .failurePercentage, now)
      events += look(counts.mapValues(\.local), .localOriginSuccessRate, .localOriginFailurePercentage, now)
    }
    for address in hosts.keys {
      guard let host = hosts[address], host.ejectedAt == nil, let back = host.returnedAt, host.backoff > 0,
        now &- back >= detection.interval.nanoseconds
      else { continue }
      hosts[address]?.backoff -= 1
    }
    return events
  }

  /// Of the endpoints with enough requests, those whose rate is too low, beside the others or by itself.
  private mutating func look(
    _ totals: [SocketAddress: OutlierMonitor.Totals], _ bySuccess: OutlierDetection.Reason,
    _ byFailure: OutlierDetection.Reason, _ now: UInt64
  ) -> [Event] {
    let rates = hosts.keys.sorted().compactMap { address -> (address: SocketAddress, rate: Double, volume: UInt64)? in
      guard let total = totals[address], total.requests > 0, hosts[address]?.ejectedAt == nil else { return nil }
      return (address, 100 * Double(total.successes) / Double(total.requests), total.requests)
    }
    var events: [Event] = []
    let compared = rates.filter { $0.volume >= detection.successRate.requests }
    if !compared.isEmpty, compared.count >= detection.successRate.minimumHosts {
      let least = OutlierDetector.threshold(compared.map(\.rate), deviations: Double(detection.deviations) / 1000)
      for host in compared where host.rate < least { events.append(eject(host.address, bySuccess, now)) }
    }
    let judged = rates.filter { $0.volume >= detection.failurePercentage.requests }
    if !judged.isEmpty, judged.count >= detection.failurePercentage.minimumHosts {
      for host in judged
      where 100 - host.rate >= Double(detection.failureThreshold) && hosts[host.address]?.ejectedAt == nil {
        events.append(eject(host.address, byFailure, now))
      }
    }
    return events
  }

  /// The mean less so many standard deviations.
  static func threshold(_ rates: [Double], deviations: Double) -> Double {
    let count = Double(rates.count)
    let mean = rates.reduce(0, +) / count
    let variance = rates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
    return mean - deviations * variance.squareRoot()
  }

  private mutating func eject(_ address: SocketAddress, _ reason: OutlierDetection.Reason, _ now: UInt64) -> Event {
    let percent = 100 * Double(ejected + 1) / Double(hosts.count)
    let isAllowed = percent <= Double(detection.maximumEjectionPercent) || (detection.alwaysEjectsOne && ejected == 0)
    guard isAllowed, random() % 100 < UInt64(detection.enforcing[reason] ?? 0), var host = hosts[address] else {
      return Event(address: address, change: .spared(reason))
    }
    ejected += 1
    host.ejectedAt = now
    host.jitter = random() % (detection.maximumEjectionJitter.milliseconds + 1) * 1_000_000
    let base = detection.baseEjectionTime.nanoseconds
    if base.times(host.backoff) < detection.maximumEjectionTime.nanoseconds.later(by: base) { host.backoff += 1 }
    hosts[address] = host
    return Event(address: address, change: .ejected(reason, until: now.later(by: length(host))))
  }

  private mutating func giveBack(_ address: SocketAddress, _ now: UInt64) -> Event {
    ejected -= 1
    hosts[address]?.ejectedAt = nil
    hosts[address]?.returnedAt = now
    return Event(address: address, change: .returned)
  }

  /// How long an endpoint that is out stays so, at least.
  private func length(_ host: Host) -> UInt64 {
    let length = detection.baseEjectionTime.nanoseconds.times(host.backoff)
    return min(length, detection.maximumEjectionTime.nanoseconds).later(by: host.jitter)
  }
}

extension UInt64 {
  /// The greatest number where the product is beyond it.
  fileprivate func times(_ factor: UInt64) -> UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? .max : product
  }
}

extension Duration {
  /// Whole ones, rounded down.
  var milliseconds: UInt64 { nanoseconds / 1_000_000 }
}
