public import NodeMetrics

extension ProxyServer {
  /// What was done since the start, as a monitoring system scrapes it.
  public var metrics: [MetricFamily] {
    let statistics = self.statistics
    let judged = statistics.deniedRequests &+ statistics.malformedRequests &+ statistics.answeredRequests
    // The counters are read one after the other, so a difference may be short of a request.
    let forwarded = statistics.requests >= judged ? statistics.requests - judged : 0
    func counter(_ name: String, _ help: String, _ value: UInt64) -> MetricFamily {
      MetricFamily("martlet_proxy_\(name)_total", .counter, help, value)
    }
    return [
      MetricFamily(
        "martlet_proxy_requests_total", .counter, "Requests by what was decided on them.",
        [
          .init(["verdict": "forwarded"], forwarded), .init(["verdict": "denied"], statistics.deniedRequests),
          .init(["verdict": "malformed"], statistics.malformedRequests),
          .init(["verdict": "answered"], statistics.answeredRequests),
        ]),
      MetricFamily(
        "martlet_proxy_responses_total", .counter, "Final responses by class, the proxy's own included.",
        (1...5).map { .init(["code": "\($0)xx"], statistics.responses[$0]) }),
      counter("connections", "Connections of clients accepted.", statistics.acceptedConnections),
      MetricFamily(
        "martlet_proxy_connections_open", .gauge, "Connections of clients that are open.", statistics.openConnections),
      counter("upstream_connections", "Connections to servers.", statistics.upstreamConnections),
      counter(
        "upstream_reuses", "Connections to servers that were used again for another connection of a client.",
        statistics.upstreamReuses),
      counter("upstream_failures", "Servers that could not be reached.", statistics.upstreamFailures),
      counter("retries", "Attempts beyond the first, as routes want them.", statistics.retries),
      counter("timeouts", "Routed requests, or attempts of them, whose time was over.", statistics.timeouts),
      counter("aborted", "Exchanges that a side left before their end.", statistics.abortedExchanges),
      MetricFamily(
        "martlet_proxy_bytes_total", .counter, "Octets of bodies and heads, by direction.",
        [
          .init(["direction": "request"], statistics.requestOctets),
          .init(["direction": "response"], statistics.responseOctets),
        ]),
      counter("lost_access_records", "Access records that the agent did not take.", statistics.lostAccessRecords),
      MetricFamily(
        "martlet_proxy_configuration_generation", .gauge, "The generation of the agent's configuration in force.",
        rules.current.generation),
    ]
  }
}
