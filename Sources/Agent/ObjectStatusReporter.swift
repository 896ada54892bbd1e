import Clocks
import JSON
import KubernetesAPI
import Logging
import Policy
import Synchronization

/// Writes what became of each policy and configuration into its object's `status.conditions`, so that nobody has to guess. What can not be
/// written is tried again; of several outcomes for one object only the newest is written.
///
/// - `Valid`: the object could be read.
/// - `Enforced`: all of it is in force; else the message names the fields and what happens instead, or says that the policy
///   is only watched.
final class ObjectStatusReporter: Sendable {
  /// The newest status of each object.
  private final class Newest: Sendable {
    private let status = Mutex<[ObjectKey: PolicyObjectStatus]>([:])

    subscript(key: ObjectKey) -> PolicyObjectStatus? { status.withLock { $0[key] } }

    func add(_ status: [ObjectKey: PolicyObjectStatus]) { self.status.withLock { $0.merge(status) { $1 } } }

    /// Unless a newer one has come.
    func forget(_ key: ObjectKey, _ written: PolicyObjectStatus) {
      status.withLock { if $0[key] == written { $0[key] = nil } }
    }
  }

  /// What was said last of objects that have no status, by which to tell that it is another thing now.
  private final class Said: Sendable {
    private let said = Mutex<[ObjectKey: Condition]>([:])

    /// Returns what it replaces.
    func set(_ condition: Condition?, of key: ObjectKey) -> Condition? {
      said.withLock { said in
        defer { said[key] = condition }
        return said[key]
      }
    }
  }

  private let newest = Newest()
  private let queue: WorkQueue<ObjectKey>

  init(
    api: any ObjectAPI, events: EventRecorder? = nil, backoff: Backoff = Backoff(base: .milliseconds(200)),
    logger: Logger
  ) {
    queue = WorkQueue(backoff: backoff) { key, error, pause in
      logger.warning("the status of \(key) could not be written, trying again in \(pause): \(error)")
    } work: { [newest, said = Said()] key in
      guard let status = newest[key] else { return }
      try await ObjectStatusReporter.write(key, status, api, events, said)
      newest.forget(key, status)
    }
  }

  deinit { queue.stop() }

  /// Everything that was reported is written.
  var isIdle: Bool { queue.isIdle }

  func report(_ status: [ObjectKey: PolicyObjectStatus]) {
    newest.add(status)
    for key in status.keys { queue.add(key) }
  }

  /// A conflict with another writer is an error like any other: the next attempt reads the object again.
  private static func write(
    _ key: ObjectKey, _ status: PolicyObjectStatus, _ api: any ObjectAPI, _ events: EventRecorder?, _ said: Said
  ) async throws(KubernetesError) {
    guard let type = types[key.kind] else { return }
    do throws(KubernetesError) {
      let object = try await api.get(type, namespace: key.namespace, name: key.name)
      let before = object[path: "status", "conditions"]?.arrayValue ?? []
      let conditions = conditions(status, type)
      // A NetworkPolicy has no status: only the event tells.
      if type == NetworkPolicy.resource {
        let enforced = conditions.first { $0.type == "Enforced" }
        let old = said.set(enforced, of: key)
        return record(key, conditions, old ?? fresh(type), object, events)
      }
      let now = Timestamp.nowText
      let written = conditions.map { condition -> JSONValue in
        let same = before.first { $0["type"]?.stringValue == condition.type }
        let since = same?["status"]?.stringValue == condition.status ? same?["lastTransitionTime"]?.stringValue : nil
        return Condition(
          type: condition.type, status: condition.status, reason: condition.reason, message: condition.message,
          lastTransitionTime: since ?? now
        ).json
      }
      guard written != before else { return }
      _ = try await api.patch(
        type, namespace: key.namespace, name: key.name, .merge,
        [
          "metadata": ["resourceVersion": object[path: "metadata", "resourceVersion"] ?? .null],
          "status": ["conditions": .array(written)],
        ],
        subresource: "status")
      let old = before.first { $0["type"]?.stringValue == "Enforced" }
      record(
        key, conditions,
        old.map {
          Condition(
            type: "Enforced", status: $0["status"]?.stringValue ?? "", reason: $0["reason"]?.stringValue ?? "",
            message: $0["message"]?.stringValue ?? "")
        } ?? fresh(type), object, events)
    } catch {
      if !error.isNotFound { throw error }
      _ = said.set(nil, of: key)
    }
  }

  private static let types = Dictionary(
    uniqueKeysWithValues: [
      NetworkPolicy.resource, CiliumNetworkPolicy.resource, CiliumClusterwideNetworkPolicy.resource,
      CiliumEnvoyConfig.resource, CiliumClusterwideEnvoyConfig.resource,
    ].map { ($0.kind, $0) })

  /// An event when a policy stops being enforced as written, and when it is again or on other pods.
  private static func record(
    _ key: ObjectKey, _ conditions: [Condition], _ old: Condition, _ object: JSONValue, _ events: EventRecorder?
  ) {
    guard let now = conditions.first(where: { $0.type == "Enforced" }) else { return }
    let isEnforced = now.status == "True"
    if isEnforced, old.status == "True", old.message == now.message { return }
    events?.record(
      EventRecorder.Entry(
        subject: key, apiVersion: object["apiVersion"]?.stringValue ?? "",
        uid: object[path: "metadata", "uid"]?.stringValue ?? "",
        kind: isEnforced || now.reason == audited ? .normal : .warning, reason: now.reason, message: now.message))
  }

  private static let audited = "Audited"

  /// Of an object that nothing was said of yet.
  private static func fresh(_ type: ResourceType) -> Condition {
    let verb = noun(type) == policy ? "enforced" : "followed"
    return Condition(
      type: "Enforced", status: "True", reason: "Enforced", message: "the \(noun(type)) is \(verb) as written")
  }

  private static let policy = "policy"

  private static func noun(_ type: ResourceType) -> String {
    [CiliumEnvoyConfig.resource, CiliumClusterwideEnvoyConfig.resource].contains(type) ? "configuration" : policy
  }

  private static func conditions(_ status: PolicyObjectStatus, _ type: ResourceType) -> [Condition] {
    let issues = status.issues.map(\.description)
    let valid =
      status.state == .rejected
      ? Condition(type: "Valid", status: "False", reason: "Rejected", message: issues.joined(separator: "; "))
      : Condition(type: "Valid", status: "True", reason: "Accepted", message: "the \(noun(type)) is valid")
    let notes = AuditMode.notes(status)
    func enforced(_ isTrue: Bool, _ reason: String, _ parts: [String]) -> Condition {
      Condition(
        type: "Enforced", status: isTrue ? "True" : "False", reason: reason, message: parts.joined(separator: "; "))
    }
    switch status.state {
    case .rejected: return [valid, enforced(false, "Rejected", issues + notes)]
    case _ where status.isAudited: return [valid, enforced(false, audited, notes + issues)]
    case .partial: return [valid, enforced(false, "PartlyEnforced", issues + notes)]
    case .accepted:
      let fresh = fresh(type)
      return [valid, enforced(true, fresh.reason, [fresh.message] + notes)]
    }
  }
}
