import Addressing
import JSON

/// What the runtime tells the API about a Pod: a pure value that knows how its transitions are written.
public struct WorkloadStatus: Hashable, Sendable {
  public enum ContainerState: Hashable, Sendable {
    case waiting(reason: String, message: String)
    case running(startedAt: String)
    case terminated(Termination)
  }

  public struct Termination: Hashable, Sendable {
    public var exit: ProcessExit
    public var reason: String
    public var message: String
    public var startedAt: String
    public var finishedAt: String
  }

  private struct Condition: Hashable, Sendable {
    var holds: Bool
    var since: String
    var reason: String
  }

  public var container: ContainerState = .waiting(reason: "ContainerCreating", message: "")
  public var lastTermination: Termination?
  public var restartCount: Int64 = 0
  public var addresses: [IPAddress] = []
  public var hostAddresses: [IPAddress] = []
  public var startTime: String?
  /// Whether all declared ports are served.
  public var ready = false
  /// Why the Pod as a whole is in its phase; empty for nothing to say.
  public var reason = ""
  public var message = ""
  /// Set once the container will not run again.
  public var isFinal = false
  private var conditions: [String: Condition] = [:]

  public init() {}

  /// Takes over what the API has of an earlier runtime: times of transitions and the count of restarts.
  public mutating func restore(from document: JSONValue) {
    guard let status = document["status"] else { return }
    startTime = status["startTime"]?.stringValue
    restartCount = status["containerStatuses"]?.arrayValue?.first?["restartCount"]?.integerValue ?? 0
    for condition in status["conditions"]?.arrayValue ?? [] {
      guard let type = condition["type"]?.stringValue, let since = condition["lastTransitionTime"]?.stringValue else {
        continue
      }
      conditions[type] = Condition(
        holds: condition["status"] == "True", since: since, reason: condition["reason"]?.stringValue ?? "")
    }
    ready = conditions["Ready"]?.holds ?? false
  }

  public var phase: String {
    switch container {
    case .terminated(let termination) where isFinal: termination.exit == .code(0) ? "Succeeded" : "Failed"
    case .waiting where isFinal: "Failed"
    case .waiting where restartCount == 0 && lastTermination == nil: "Pending"
    default: "Running"
    }
  }

  /// The merge patch for the `status` subresource; updates the transition times of conditions that changed.
  public mutating func patch(for pod: Workload, now: String) -> JSONValue {
    let completed = phase == "Succeeded"
    set("PodScheduled", true, "", now)
    set("Initialized", true, "", now)
    let reason = completed ? "PodCompleted" : ready ? "" : "ContainersNotReady"
    set("ContainersReady", ready, reason, now)
    set("Ready", ready, reason, now)
    let order = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
    let podIPs: JSONValue = .array(addresses.map { ["ip": .string($0.description)] })
    return [
      "metadata": ["uid": .string(pod.uid)],
      "status": [
        "phase": .string(phase), "reason": text(self.reason), "message": text(message),
        "hostIP": hostAddresses.first.map { .string($0.description) } ?? .null,
        "hostIPs": .array(hostAddresses.map { ["ip": .string($0.description)] }),
        "podIP": addresses.first.map { .string($0.description) } ?? .null, "podIPs": podIPs,
        "startTime": startTime.map { .string($0) } ?? .null,
        "conditions": .array(order.compactMap { type in conditions[type].map { json(type, $0) } }),
        "containerStatuses": .array([containerStatus(pod)] + pod.otherContainers.map(WorkloadStatus.unsupported)),
      ],
    ]
  }

  private mutating func set(_ type: String, _ holds: Bool, _ reason: String, _ now: String) {
    let since = conditions[type].map { $0.holds == holds ? $0.since : now } ?? now
    conditions[type] = Condition(holds: holds, since: since, reason: reason)
  }

  private func json(_ type: String, _ condition: Condition) -> JSONValue {
    var object: JSONValue = [
      "type": .string(type), "status": condition.holds ? "True" : "False",
      "lastTransitionTime": .string(condition.since),
    ]
    if !condition.reason.isEmpty { object["reason"] = .string(condition.reason) }
    return object
  }

  private func containerStatus(_ pod: Workload) -> JSONValue {
    var isRunning = false
    if case .running = container { isRunning = true }
    var object: JSONValue = [
      "name": .string(pod.container.name), "image": .string(pod.container.image), "imageID": "",
      "ready": .bool(ready), "started": .bool(isRunning), "restartCount": .integer(restartCount),
      "containerID": .string("martlet://\(pod.uid)"),
    ]
    switch container {
    case .waiting(let reason, let message):
      var waiting: JSONValue = ["reason": .string(reason)]
      if !message.isEmpty { waiting["message"] = .string(message) }
      object["state"] = ["waiting": waiting]
    case .running(let startedAt): object["state"] = ["running": ["startedAt": .string(startedAt)]]
    case .terminated(let termination): object["state"] = ["terminated": json(termination)]
    }
    if let lastTermination { object["lastState"] = ["terminated": json(lastTermination)] }
    return object
  }

  private func json(_ termination: Termination) -> JSONValue {
    var object: JSONValue = [
      "exitCode": .integer(Int64(termination.exit.code)), "reason": .string(termination.reason),
      "startedAt": .string(termination.startedAt), "finishedAt": .string(termination.finishedAt),
    ]
    if case .signal(let signal) = termination.exit { object["signal"] = .integer(Int64(signal)) }
    if !termination.message.isEmpty { object["message"] = .string(termination.message) }
    return object
  }

  /// The field is removed when there is nothing to say: null deletes in a merge patch (RFC 7396).
  private func text(_ text: String) -> JSONValue { text.isEmpty ? .null : .string(text) }

  private static func unsupported(_ name: String) -> JSONValue {
    [
      "name": .string(name), "image": "", "imageID": "", "ready": false, "restartCount": 0,
      "state": [
        "waiting": [
          "reason": "NotSupported", "message": "host mode runs the first container of a Pod and no other",
        ]
      ],
    ]
  }
}

extension WorkloadStatus.Termination {
  /// Reasons as container runtimes give them.
  public init(_ exit: ProcessExit, startedAt: String, finishedAt: String) {
    let reason =
      switch exit {
      case .code(0): "Completed"
      case .code, .signal: "Error"
      case .unknown: "ContainerStatusUnknown"
      }
    let message = exit == .unknown ? "the process ended while another process than its parent watched it" : ""
    self.init(exit: exit, reason: reason, message: message, startedAt: startedAt, finishedAt: finishedAt)
  }
}
