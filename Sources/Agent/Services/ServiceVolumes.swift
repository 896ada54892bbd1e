import Datapath
import NodeAPI
import NodeMetrics
import Services

/// How much passed for each port of a Service: what the kernel counts by its numbers, and what it counted by numbers that
/// have gone since this agent's start.
struct ServiceVolumes {
  private let table: ServiceTrafficTable
  private var meanings: [UInt32: PortID] = [:]
  private var gone: [PortID: ServiceVolume] = [:]

  init(_ table: ServiceTrafficTable) { self.table = table }

  /// Takes up what numbers mean from now on; nil: nothing any more.
  mutating func take(_ changes: [UInt32: BalancerID?]) {
    for (number, id) in changes {
      guard let id else {
        guard let port = meanings.removeValue(forKey: number), let last = try? table.remove(number) else { continue }
        gone[port, default: ServiceVolume()] += last
        continue
      }
      meanings[number] = id.port
    }
  }

  /// Forgets the Services that are gone.
  mutating func keep(only services: Set<ServiceName>) {
    gone = gone.filter { services.contains($0.key.service) }
  }

  /// By port; those for which nothing passed are left out. What is counted by numbers that mean nothing goes: an earlier
  /// agent may have left it, or a connection that outlives its Service.
  var byPort: [PortID: ServiceVolume] {
    var all = gone
    for (number, volume) in (try? table.volumes()) ?? [:] {
      if let port = meanings[number] {
        all[port, default: ServiceVolume()] += volume
      } else {
        _ = try? table.remove(number)
      }
    }
    return all
  }
}

extension [PortID: ServiceVolume] {
  /// For Prometheus.
  var families: [MetricFamily] {
    func family(_ name: String, _ help: String, _ value: KeyPath<ServiceVolume.Count, UInt64>) -> MetricFamily {
      MetricFamily(
        name, .counter, help,
        sorted { $0.key < $1.key }.flatMap { id, volume in
          [("TO_BACKENDS", volume.toBackends), ("TO_CLIENTS", volume.toClients)].map { direction, count in
            .init(
              [
                "namespace": id.service.namespace, "service": id.service.name, "port": "\(id.port)",
                "protocol": id.protocol.description, "direction": direction,
              ], count[keyPath: value])
          }
        })
    }
    return [
      family(
        "martlet_service_forward_count_total", "Packets of connections to a Service's port that this node balanced.",
        \.packets),
      family(
        "martlet_service_forward_bytes_total", "Octets of connections to a Service's port that this node balanced.",
        \.bytes),
    ]
  }
}
