import Clocks
import JSON
import KubernetesAPI
import Logging
import Synchronization

/// Tells the API what happened to an object, as Event objects: `kubectl get events`, `kubectl describe`.
///
/// What happens again is counted in the event that there is, and written once a minute at most.
final class EventRecorder: Sendable {
  enum Kind: String, Sendable {
    case normal = "Normal"
    case warning = "Warning"
  }

  struct Entry: Hashable, Sendable {
    let subject: ObjectKey
    /// `v1`, `cilium.io/v2`.
    let apiVersion: String
    /// `kubectl describe` asks for the events of an object by it; a node's is its name.
    let uid: String
    let kind: Kind
    /// `CamelCase`, for programs.
    let reason: String
    /// A sentence; the same for the same happening, so numbers that change have no place in it.
    let message: String
  }

  private struct Written: Sendable {
    let name: String
    var count: Int64
    var writtenAt: ContinuousClock.Instant
  }

  private static let interval = Duration.seconds(60)
  /// More than this many different happenings are not remembered; a repetition is then an event of its own.
  private static let memory = 1024

  private let entries: AsyncStream<Entry>.Continuation
  private let worker: Task<Void, Never>

  init(api: any ObjectAPI, nodeName: String, logger: Logger) {
    let (stream, continuation) = AsyncStream.makeStream(of: Entry.self, bufferingPolicy: .bufferingNewest(256))
    entries = continuation
    worker = Task {
      var written: [Entry: Written] = [:]
      for await entry in stream {
        do throws(KubernetesError) {
          try await EventRecorder.write(entry, &written, api, nodeName)
        } catch {
          logger.warning("an event about \(entry.subject) could not be written: \(error)")
        }
        if written.count > EventRecorder.memory { written = [:] }
      }
    }
  }

  deinit {
    entries.finish()
    worker.cancel()
  }

  func record(_ entry: Entry) { entries.yield(entry) }

  private static func write(
    _ entry: Entry, _ written: inout [Entry: Written], _ api: any ObjectAPI, _ nodeName: String
  ) async throws(KubernetesError) {
    let namespace = entry.subject.namespace ?? "default"
    let time = Timestamp.now()
    let now = JSONValue.string(Timestamp.nowText)
    if var known = written[entry] {
      known.count += 1
      let isDue = ContinuousClock.now - known.writtenAt >= interval
      if isDue { known.writtenAt = .now }
      written[entry] = known
      guard isDue else { return }
      do throws(KubernetesError) {
        _ = try await api.patch(
          resource, namespace: namespace, name: known.name, .merge,
          ["count": .integer(known.count), "lastTimestamp": now], subresource: nil)
        return
      } catch {
        // Events expire; this one is then a new one.
        guard error.isNotFound else { throw error }
      }
    }
    let name = "\(entry.subject.name).\(String(time, radix: 16))"
    _ = try await api.create(
      resource,
      [
        "apiVersion": "v1", "kind": "Event", "metadata": ["name": .string(name), "namespace": .string(namespace)],
        "involvedObject": [
          "apiVersion": .string(entry.apiVersion), "kind": .string(entry.subject.kind),
          "namespace": .string(entry.subject.namespace ?? ""), "name": .string(entry.subject.name),
          "uid": .string(entry.uid),
        ],
        "type": .string(entry.kind.rawValue), "reason": .string(entry.reason), "message": .string(entry.message),
        "count": 1, "firstTimestamp": now, "lastTimestamp": now,
        "source": ["component": "martlet-agent", "host": .string(nodeName)],
        "reportingComponent": "martlet-agent", "reportingInstance": .string(nodeName),
      ])
    written[entry] = Written(name: name, count: 1, writtenAt: .now)
  }

  static let resource = ResourceType(
    group: "", version: "v1", plural: "events", kind: "Event", namespaced: true)
}
