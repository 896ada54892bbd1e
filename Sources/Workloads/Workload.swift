import Addressing
import JSON

/// A Pod as the runtime sees it: what to run and under which rules (Kubernetes API reference, Pod v1). Stricter than the
/// general form: what host mode can not do is refused with its field.
public struct Workload: Hashable, Sendable {
  public enum RestartPolicy: String, Sendable, CaseIterable {
    case always = "Always"
    case onFailure = "OnFailure"
    case never = "Never"

    /// Whether a container that ended so is started again.
    func restarts(after exit: ProcessExit) -> Bool {
      switch self {
      case .always: true
      case .onFailure: exit != .code(0)
      case .never: false
      }
    }
  }

  public struct Port: Hashable, Sendable {
    public var name: String
    public var port: UInt16
    public var isTCP: Bool
  }

  public struct Variable: Hashable, Sendable {
    public enum Source: Hashable, Sendable {
      case value(String)
      /// A field of the Pod, such as `status.podIP`.
      case field(String)
    }
    public var name: String
    public var source: Source
  }

  public struct Container: Hashable, Sendable {
    public var name: String
    public var image: String
    public var command: [String]
    public var arguments: [String]
    public var environment: [Variable]
    public var workingDirectory: String?
    public var ports: [Port]
  }

  public var namespace: String
  public var name: String
  public var uid: String
  public var nodeName: String
  public var restartPolicy: RestartPolicy
  /// In seconds; what the deletion asks for, else what the spec says.
  public var gracePeriod: Int64
  public var container: Container
  /// Containers that host mode does not run: all but the first.
  public var otherContainers: [String]
  public var isBeingDeleted: Bool
  public var hasFinalizers: Bool
  /// What `status.phase` says: `Succeeded` and `Failed` never run again.
  public var phase: String

  /// `namespace/name`.
  public var key: String { "\(namespace)/\(name)" }

  public init(_ cursor: JSONCursor) throws(FieldError) {
    let metadata = try cursor.required("metadata")
    namespace = try metadata.member("namespace")?.string() ?? "default"
    name = try metadata.required("name").string()
    uid = try metadata.required("uid").string()
    isBeingDeleted = try metadata.member("deletionTimestamp") != nil
    hasFinalizers = try metadata.member("finalizers")?.elements().isEmpty == false
    phase = cursor.value[path: "status", "phase"]?.stringValue ?? "Pending"
    let spec = try cursor.required("spec")
    nodeName = try spec.member("nodeName")?.string() ?? ""
    restartPolicy = .always
    if let field = try spec.member("restartPolicy") {
      guard let policy = RestartPolicy(rawValue: try field.string()) else {
        throw field.error("must be Always, OnFailure or Never")
      }
      restartPolicy = policy
    }
    gracePeriod = try spec.member("terminationGracePeriodSeconds")?.integer() ?? 30
    if let asked = try metadata.member("deletionGracePeriodSeconds")?.integer() { gracePeriod = asked }
    if let hostNetwork = try spec.member("hostNetwork"), try hostNetwork.bool() {
      throw hostNetwork.error("not supported: a process in the host's namespace needs no Pod")
    }
    let containers = try spec.required("containers").elements()
    guard let first = containers.first else { throw FieldError(path: "spec.containers", message: "must not be empty") }
    container = try Container(first)
    otherContainers = []
    for other in containers.dropFirst() + (try spec.member("initContainers")?.elements() ?? []) {
      otherContainers.append(try other.required("name").string())
    }
  }
}

extension Workload.Container {
  init(_ cursor: JSONCursor) throws(FieldError) {
    func strings(_ key: String) throws(FieldError) -> [String] {
      var strings: [String] = []
      for element in try cursor.member(key)?.elements() ?? [] { strings.append(try element.string()) }
      return strings
    }
    name = try cursor.required("name").string()
    image = try cursor.member("image")?.string() ?? ""
    command = try strings("command")
    arguments = try strings("args")
    workingDirectory = try cursor.member("workingDir")?.string()
    environment = []
    for element in try cursor.member("env")?.elements() ?? [] {
      environment.append(try Workload.Variable(element))
    }
    if let field = try cursor.member("envFrom") { throw field.error("not supported for processes of the host") }
    ports = []
    for element in try cursor.member("ports")?.elements() ?? [] {
      let field = try element.required("containerPort")
      guard let port = UInt16(exactly: try field.integer()), port > 0 else {
        throw field.error("must be from 1 to 65535")
      }
      ports.append(
        Workload.Port(
          name: try element.member("name")?.string() ?? "", port: port,
          isTCP: (try element.member("protocol")?.string() ?? "TCP") == "TCP"))
    }
  }
}

extension Workload.Variable {
  init(_ cursor: JSONCursor) throws(FieldError) {
    name = try cursor.required("name").string()
    guard let from = try cursor.member("valueFrom") else {
      source = .value(try cursor.member("value")?.string() ?? "")
      return
    }
    guard let field = try from.member("fieldRef") else {
      throw from.error("only fieldRef is supported for processes of the host")
    }
    source = .field(try field.required("fieldPath").string())
  }
}
