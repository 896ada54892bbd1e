public import NodeMetrics
import Routing

extension RouteStore {
  /// What became of routed requests since the start, as a monitoring system scrapes it. A route has metrics from its first
  /// request on, a cluster as soon as a listener names it.
  public var metrics: [MetricFamily] {
    let routes = registry.routes.sorted { $0.key < $1.key }
    let clusters = registry.clusters.sorted { $0.key < $1.key }
    return routeMetrics(routes) + clusterMetrics(clusters) + [filterMetrics()] + registry.outlets.metrics
  }

  private func filterMetrics() -> MetricFamily {
    let listeners = current.listeners.values.sorted { ($0.object, $0.name) < ($1.object, $1.name) }
    return MetricFamily(
      "martlet_filter_events_total", .counter, "What the filters of a listener did with its requests.",
      listeners.flatMap { listener in
        (listener.filters?.steps ?? []).flatMap { step in
          FilterEvent.allCases.filter { step.counters[$0] > 0 }.map { event in
            MetricFamily.Sample(
              [
                "object": listener.object, "listener": listener.name, "filter": step.filter.name, "event": event.word,
              ], step.counters[event])
          }
        }
      })
  }

  private func routeMetrics(_ routes: [RouteMetrics]) -> [MetricFamily] {
    let bounds = RouteMetrics.bounds.map(\.seconds)
    return [
      MetricFamily(
        "martlet_route_requests_total", .counter,
        "Routed requests by the class of their answer; none: they went without one.",
        routes.flatMap { route in
          route.requests.enumerated().filter { $0.element > 0 }.map { code, count in
            let code = code == 0 ? "none" : "\(code)xx"
            return MetricFamily.Sample(route.key.labels.merging(["code": code]) { $1 }, count)
          }
        }),
      MetricFamily(
        "martlet_route_retries_total", .counter, "Requests that were sent once more.",
        routes.filter { !$0.key.cluster.isEmpty }.map { .init($0.key.labels, $0.retries) }),
      MetricFamily(
        "martlet_route_duration_seconds", .histogram,
        "From a request's head to the end of its answer, all attempts together.",
        routes.flatMap { route in
          MetricFamily.Sample.histogram(
            route.key.labels, bounds: bounds, counts: route.durations, sum: Double(route.totalNanoseconds) / 1e9)
        }),
    ]
  }

  private func clusterMetrics(_ clusters: [ClusterMetrics]) -> [MetricFamily] {
    // The same cluster may be named by several listeners of an object, with the same endpoints.
    var endpoints: [ClusterMetrics.Key: (count: Int, healthy: Int, active: Int)] = [:]
    for listener in current.listeners.values {
      for cluster in listener.clusters.values {
        var sum = endpoints[cluster.metrics.key] ?? (0, 0, 0)
        sum.count = max(sum.count, cluster.endpoints.count)
        sum.healthy = max(sum.healthy, cluster.serving.health.count { $0 == .healthy })
        sum.active = max(sum.active, cluster.endpoints.reduce(0) { $0 + $1.active })
        endpoints[cluster.metrics.key] = sum
      }
    }
    func family(
      _ name: String, _ kind: MetricFamily.Kind, _ help: String, _ value: (ClusterMetrics) -> UInt64
    ) -> MetricFamily {
      MetricFamily("martlet_cluster_\(name)", kind, help, clusters.map { .init($0.key.labels, value($0)) })
    }
    return [
      family("endpoints", .gauge, "Endpoints that there are.") { UInt64(endpoints[$0.key]?.count ?? 0) },
      family("endpoints_healthy", .gauge, "Endpoints of which nothing says that they do not serve.") {
        UInt64(endpoints[$0.key]?.healthy ?? 0)
      },
      family("requests_active", .gauge, "Requests that are on their way.") {
        UInt64(max(0, endpoints[$0.key]?.active ?? 0))
      },
      family("requests_waiting", .gauge, "Requests that wait for one of the connections that there may be.") {
        $0.gates.waiting
      },
      family("overflows_total", .counter, "Requests beyond the limits of circuit_breakers.", \.overflows),
      family(
        "retry_overflows_total", .counter, "Requests that were not sent once more for these limits.", \.retryOverflows),
      family("connect_failures_total", .counter, "Endpoints that could not be connected to.", \.connectFailures),
      family("timeouts_total", .counter, "Attempts that ran out of time.", \.timeouts),
      family("unserved_total", .counter, "Requests that came while there was no endpoint.", \.withoutEndpoint),
      MetricFamily(
        "martlet_cluster_ejections_total", .counter, "Endpoints that were taken out for what became of their requests.",
        clusters.flatMap { cluster in
          cluster.ejectionCounts.filter { $0.count > 0 }.map { reason, count in
            .init(cluster.key.labels.merging(["reason": reason.rawValue]) { $1 }, count)
          }
        }),
      MetricFamily(
        "martlet_cluster_health_checks_total", .counter, "Endpoints that were asked whether they serve, by the answer.",
        clusters.filter { $0.passedChecks + $0.failedChecks > 0 }.flatMap { cluster in
          [("passed", cluster.passedChecks), ("failed", cluster.failedChecks)].map { result, count in
            MetricFamily.Sample(cluster.key.labels.merging(["result": result]) { $1 }, count)
          }
        }),
    ]
  }
}

extension RouteMetrics.Key: Comparable {
  var labels: [String: String] {
    ["object": object, "virtual_host": virtualHost, "route": route, "cluster": cluster]
  }

  static func < (left: RouteMetrics.Key, right: RouteMetrics.Key) -> Bool {
    (left.object, left.virtualHost, left.route, left.cluster)
      < (right.object, right.virtualHost, right.route, right.cluster)
  }
}

extension ClusterMetrics.Key: Comparable {
  var labels: [String: String] { ["object": object, "cluster": cluster] }

  static func < (left: ClusterMetrics.Key, right: ClusterMetrics.Key) -> Bool {
    (left.object, left.cluster) < (right.object, right.cluster)
  }
}

extension Duration {
  fileprivate var seconds: Double { Double(nanoseconds) / 1e9 }
}
