import Flows
import Identity
import KubernetesAPI
import NodeMetrics
import Policy
import Synchronization

/// Tells what the policies that are only watched would deny of the traffic that flows are made of: after a flow that is let
/// through stand those, of the verdict AUDIT, that say what would become of it. While no policy is audited, flows pass as
/// they are.
///
/// Policies are compiled elsewhere; a new book is taken up with one assignment, so nobody who makes flows waits for it.
final class AuditWatch: Sendable {
  private struct Published {
    var book: AuditBook?
    var generation: UInt64 = 0
  }

  private let published = Mutex(Published())
  private let told = Mutex<[ObjectKey: UInt64]>([:])
  // What was found before; of each there is one user, so that neither waits.
  private let connectionAudit = Mutex(ConnectionAudit())
  private let requestAudit = Mutex(RequestAudit())

  func publish(_ book: AuditBook?) {
    published.withLock { published in
      published.book = book
      published.generation += 1
    }
    let objects = book?.objects ?? []
    told.withLock { told in told = told.filter { objects.contains($0.key) } }
  }

  /// - Parameter flows: of the kernel's events.
  func connections(_ flows: [Flow]) -> [Flow] {
    let (book, generation) = published.withLock { ($0.book, $0.generation) }
    guard let book else { return flows }
    return connectionAudit.withLock { audit in
      audit.follow(generation)
      return audited(flows) { audit.denials($0, book) }
    }
  }

  /// - Parameter flows: of the proxy's records.
  func requests(_ flows: [Flow]) -> [Flow] {
    let (book, generation) = published.withLock { ($0.book, $0.generation) }
    guard let book else { return flows }
    return requestAudit.withLock { audit in
      audit.follow(generation)
      return audited(flows) { audit.denials($0, book) }
    }
  }

  private func audited(_ flows: [Flow], _ denials: (Flow) -> [AuditBook.Denial]) -> [Flow] {
    var all: [Flow] = []
    all.reserveCapacity(flows.count)
    var counts: [ObjectKey: UInt64] = [:]
    for flow in flows {
      all.append(flow)
      guard !flow.isReply, flow.verdict == .forwarded || flow.verdict == .redirected else { continue }
      for denial in denials(flow) {
        all.append(flow.audited(denial))
        for object in denial.objects { counts[object, default: 0] += 1 }
      }
    }
    if !counts.isEmpty { told.withLock { $0.merge(counts, uniquingKeysWith: +) } }
    return all
  }

  var family: MetricFamily {
    MetricFamily(
      "martlet_policy_audit_verdicts_total", .counter,
      "Connections and requests that a policy would deny, were it not only watched.",
      told.withLock { $0 }.sorted { $0.key < $1.key }.map { object, count in
        .init(["kind": object.kind, "namespace": object.namespace ?? "", "name": object.name], count)
      })
  }
}

extension Flow {
  /// The flow of what a policy that is only watched would deny.
  func audited(_ denial: AuditBook.Denial) -> Flow {
    func reference(_ object: ObjectKey, _ rule: String, _ log: String) -> PolicyReference {
      PolicyReference(kind: object.kind, namespace: object.namespace ?? "", name: object.name, rule: rule, log: log)
    }
    var flow = self
    flow.verdict = .audit
    var rules: [PolicyReference] = []
    switch denial.cause {
    case .rule(let origin):
      flow.dropReason = DropReason.policyDeny
      rules = denial.objects.map { reference($0, origin.path, origin.log) }
    case .noRule: flow.dropReason = DropReason.policyDenied
    case .unreadable: flow.dropReason = DropReason.proxyUnsupportedProtocol
    }
    flow.deniedByDefaultOf = rules.isEmpty ? denial.objects.map { reference($0, "", "") } : []
    switch denial.direction {
    case .ingress: (flow.direction, flow.ingressAllowedBy, flow.ingressDeniedBy) = (.ingress, [], rules)
    case .egress: (flow.direction, flow.egressAllowedBy, flow.egressDeniedBy) = (.egress, [], rules)
    }
    return flow
  }
}
