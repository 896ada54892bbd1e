import Flows
import NodeMetrics
import Services
import Synchronization

/// What went to each Service, as the kernel's events tell: connections once, drops packet by packet.
final class ServiceTraffic: Sendable {
  private struct Counts {
    var connections: UInt64 = 0
    /// By Hubble's numbers.
    var drops: [UInt8: UInt64] = [:]
  }

  private let counts = Mutex<[ServiceName: Counts]>([:])

  func count(_ flows: [Flow]) {
    counts.withLock { counts in
      for flow in flows where !flow.isReply {
        guard let service = flow.service else { continue }
        let name = ServiceName(namespace: service.namespace, name: service.name)
        switch flow.verdict {
        case .dropped: counts[name, default: Counts()].drops[flow.dropReason, default: 0] += 1
        case .forwarded, .redirected: counts[name, default: Counts()].connections += 1
        // Of the same packet comes another event.
        case .audit, .error: break
        }
      }
    }
  }

  /// - Parameter known: the Services that there are; the others are forgotten.
  func families(_ known: Set<ServiceName>) -> [MetricFamily] {
    let current = counts.withLock { counts in
      counts = counts.filter { known.contains($0.key) }
      return counts.sorted { $0.key < $1.key }
    }
    func labels(_ name: ServiceName) -> [String: String] { ["namespace": name.namespace, "service": name.name] }
    return [
      MetricFamily(
        "martlet_service_connections_total", .counter, "Connections to a Service that were let through.",
        current.filter { $0.value.connections > 0 }.map { .init(labels($0.key), $0.value.connections) }),
      MetricFamily(
        "martlet_service_drop_count_total", .counter, "Packets to a Service that were dropped, by reason.",
        current.flatMap { name, counts in
          counts.drops.sorted { $0.key < $1.key }.map { reason, count in
            .init(labels(name).merging(["reason": DropReason.name(reason)]) { $1 }, count)
          }
        }),
    ]
  }
}
