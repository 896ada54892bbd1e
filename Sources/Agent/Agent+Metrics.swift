import Datapath
import Flows
import NodeAPI
import NodeMetrics
import Policy

extension Agent {
  /// Serves the metrics; a port that is taken is said here and in `martlet status`.
  func serveMetrics() async {
    await MetricsListener.serve(configuration.metricsAddress) { problem in
      metricsProblem.withLock { $0 = problem.map { "\($0)" } }
      if let problem { logger.error("\(problem); trying again every ten seconds") }
    } _: { [self] in
      await metrics()
    }
  }

  /// The line of `martlet status`.
  var metricsComponent: AgentStatus.Component {
    let problem = metricsProblem.withLock { $0 }
    return AgentStatus.Component(
      name: "Metrics", ok: problem == nil,
      message: problem
        ?? "OK, http://\(configuration.metricsAddress)/metrics, the proxy's http://\(configuration.proxyMetricsAddress)/metrics"
    )
  }

  /// How full the kernel's tables are: the line of `martlet status`.
  func tablesComponent() async -> AgentStatus.Component {
    let usage = (try? await mapUsage()) ?? tables.usage
    let full = usage.filter(\.isNearlyFull)
    guard full.isEmpty else {
      return AgentStatus.Component(
        name: "Tables", ok: false,
        message: full.map { "\($0.map) \($0.entries)/\($0.capacity) entries" }.joined(separator: ", "))
    }
    let fullest = usage.max { $0.pressure < $1.pressure }
    return AgentStatus.Component(
      name: "Tables", ok: true,
      message: "OK" + (fullest.map { ", fullest \($0.map) \($0.entries)/\($0.capacity)" } ?? ""))
  }

  private func metrics() async -> [MetricFamily] {
    var families = [
      MetricFamily(
        "martlet_build_info", .gauge, "1, with the version.", [.init(["version": Version.current], 1)])
    ]
    families += datapathMetrics() + (await tableMetrics(policy.largestPolicy))
    let states = await policy.status.values.map { PolicyStatus.State($0) }
    families += policyMetrics(states, await policy.problems.count, await policy.missingBlocks)
    families.append(repairs.family)
    families += await policy.times.families
    families += serviceTraffic.families(await services.names)
    families += await services.volumes.families
    let endpoints = await self.endpoints.all
    families += [
      MetricFamily(
        "martlet_endpoint_state", .gauge, "Endpoints of this node by state.",
        [.init(["endpoint_state": "ready"], endpoints.count)]),
      MetricFamily(
        "martlet_identity_count", .gauge, "Identities known, and those of this node's endpoints.",
        [
          .init(["scope": "cluster"], await policy.knownIdentities.count),
          .init(["scope": "node"], Set(endpoints.map(\.identity)).count),
        ]),
      MetricFamily("martlet_hubble_flows_total", .counter, "Flows seen since the agent's start.", ring.seen),
    ]
    return families
  }

  private func datapathMetrics() -> [MetricFamily] {
    let rows = (try? datapath.counters.rows()) ?? []
    func labels(_ row: DatapathCounters.Row) -> [String: String] {
      var labels = ["direction": row.isEgress ? "EGRESS" : "INGRESS"]
      if row.reason != 0 { labels["reason"] = DropReason.name(row.reason) }
      return labels
    }
    func family(
      _ name: String, _ help: String, dropped: Bool, _ value: (DatapathCounters.Row) -> UInt64
    ) -> MetricFamily {
      MetricFamily(
        name, .counter, help, rows.filter { ($0.reason != 0) == dropped }.map { .init(labels($0), value($0)) })
    }
    return [
      family("martlet_drop_count_total", "Packets dropped, by reason and direction.", dropped: true, \.packets),
      family("martlet_drop_bytes_total", "Octets dropped, by reason and direction.", dropped: true, \.bytes),
      family("martlet_forward_count_total", "Packets let through, by direction.", dropped: false, \.packets),
      family("martlet_forward_bytes_total", "Octets let through, by direction.", dropped: false, \.bytes),
      MetricFamily(
        "martlet_xdp_forward_count_total", .counter, "Packets of Services' clients outside that XDP sent on.",
        (try? datapath.counters.sentOnByXDP()) ?? 0),
      MetricFamily(
        "martlet_lost_events_total", .counter, "Events that found the kernel's ring full.",
        [.init(["source": "PERF_EVENT_RING_BUFFER"], (try? datapath.counters.lostEvents()) ?? 0)]),
    ]
  }

  private func tableMetrics(_ largestPolicy: Int) async -> [MetricFamily] {
    var usage = (try? await mapUsage()) ?? tables.usage
    usage.append(
      MapUsage(map: "martlet_policy_entries", entries: largestPolicy, capacity: datapath.policy.entryCapacity))
    return [
      MetricFamily(
        "martlet_bpf_map_pressure", .gauge, "How full a table of the kernel is, 0 to 1.",
        usage.map { .init(["map_name": $0.map], $0.pressure) }),
      MetricFamily(
        "martlet_bpf_map_capacity", .gauge, "The most entries that a table of the kernel can hold.",
        usage.map { .init(["map_name": $0.map], $0.capacity) }),
    ] + collectionMetrics("conntrack", "the connection table", tables.collections(of: .connections))
      + collectionMetrics("nat", "the translated connections", tables.collections(of: .nat))
  }

  private func collectionMetrics(
    _ name: String, _ what: String, _ collections: TableWatch.Collections
  ) -> [MetricFamily] {
    let (seconds, attoseconds) = collections.duration.components
    return [
      MetricFamily(
        "martlet_datapath_\(name)_gc_runs_total", .counter, "Collections of \(what).", collections.runs),
      MetricFamily(
        "martlet_datapath_\(name)_gc_removed_total", .counter, "Connections removed from \(what), and why.",
        [
          .init(["reason": "expired"], collections.expired), .init(["reason": "pressure"], collections.evicted),
        ]),
      MetricFamily(
        "martlet_datapath_\(name)_gc_seconds_total", .counter, "Time spent on collections of \(what), in seconds.",
        [.init(Double(seconds) + Double(attoseconds) / 1e18)]),
      MetricFamily(
        "martlet_datapath_\(name)_gc_entries", .gauge, "Entries that the last collection of \(what) left.",
        collections.live),
    ]
  }

  private func policyMetrics(
    _ states: [PolicyStatus.State], _ refused: Int, _ missingBlocks: Int
  ) -> [MetricFamily] {
    return [
      MetricFamily(
        "martlet_policy", .gauge, "Policies by what became of them.",
        PolicyStatus.State.allCases.map { state in .init(["state": state.rawValue], states.count { $0 == state }) }),
      audit.family,
      MetricFamily(
        "martlet_policy_revision", .gauge, "The revision of policy that connections are judged by.",
        (try? datapath.revision()) ?? 0),
      MetricFamily(
        "martlet_policy_import_errors_total", .counter, "Policies that could not be read, each time they came.",
        progress.importErrors),
      MetricFamily(
        "martlet_policy_refused_identities", .gauge,
        "Identities that are denied everything because the kernel did not take their policy.", refused),
      MetricFamily(
        "martlet_ipcache_missing_blocks", .gauge, "Blocks of addresses that the ipcache has no entry for.",
        missingBlocks),
    ]
  }
}
