import Addressing
import CNI
import Glibc

/// What is executed for a container: the program, its arguments and its environment, with all references resolved.
public struct ContainerCommand: Hashable, Sendable {
  /// Path of the program; no search is left to do.
  public var path: String
  public var arguments: [String]
  /// `KEY=VALUE`, sorted by key.
  public var environment: [String]
  public var workingDirectory: String

  /// - Parameters:
  ///   - inherited: Variables of the runtime that a workload may want, such as PATH.
  ///   - isExecutable: Whether a program is at the path.
  public init(
    _ pod: Workload, addresses: [IPAddress], hostAddress: IPAddress?, inherited: [String: String],
    isExecutable: (String) -> Bool = { access($0, X_OK) == 0 }
  ) throws(WorkloadError) {
    let container = pod.container
    var variables: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG", "TERM", "TZ"] { variables[name] = inherited[name] }
    if variables["PATH"] == nil { variables["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" }
    variables["HOSTNAME"] = pod.name
    variables["POD_NAME"] = pod.name
    variables["POD_NAMESPACE"] = pod.namespace
    variables["POD_IP"] = addresses.first?.description ?? ""
    variables["POD_IPS"] = addresses.map(\.description).joined(separator: ",")
    for variable in container.environment {
      switch variable.source {
      // A value may refer to variables before it (Kubernetes API reference, EnvVar.value).
      case .value(let text): variables[variable.name] = ContainerCommand.expand(text, variables)
      case .field(let field):
        variables[variable.name] = try ContainerCommand.field(field, pod, addresses, hostAddress)
      }
    }
    workingDirectory = container.workingDirectory ?? "/"
    arguments = (container.command + container.arguments).map { ContainerCommand.expand($0, variables) }
    environment = variables.map { "\($0.key)=\($0.value)" }.sorted()
    guard let program = arguments.first, !program.isEmpty else {
      throw .invalidPod("spec.containers[0].command: required, as a process of the host has no image to take it from")
    }
    if program.contains("/") {
      path = program.hasPrefix("/") ? program : workingDirectory + "/" + program
    } else {
      guard let found = ContainerCommand.search(program, in: variables["PATH"] ?? "", isExecutable) else {
        throw .spawn(step: "not found in PATH", command: program, errno: ENOENT)
      }
      path = found
    }
  }

  /// As a shell finds programs: those with a slash are paths already.
  static func search(
    _ program: String, in path: String, _ isExecutable: (String) -> Bool = { access($0, X_OK) == 0 }
  ) -> String? {
    if program.contains("/") { return program }
    return path.split(separator: ":").map { $0 + "/" + program }.first(where: isExecutable)
  }

  private static func field(
    _ path: String, _ pod: Workload, _ addresses: [IPAddress], _ hostAddress: IPAddress?
  ) throws(WorkloadError) -> String {
    switch path {
    case "metadata.name": pod.name
    case "metadata.namespace": pod.namespace
    case "metadata.uid": pod.uid
    case "spec.nodeName": pod.nodeName
    case "status.podIP": addresses.first?.description ?? ""
    case "status.podIPs": addresses.map(\.description).joined(separator: ",")
    case "status.hostIP": hostAddress?.description ?? ""
    default: throw .invalidPod("spec.containers[0].env: field \(path) can not be referred to")
    }
  }

  /// The text that `expand` makes `word` of, whatever the variables are.
  public static func escape(_ word: String) -> String {
    word.split(separator: "$", omittingEmptySubsequences: false).joined(separator: "$$")
  }

  /// Replaces `$(NAME)` by the variable's value; one that is not set stays as it is, and `$$` stands for `$`.
  static func expand(_ text: String, _ variables: [String: String]) -> String {
    guard text.contains("$") else { return text }
    var output = ""
    var rest = text[...]
    while let dollar = rest.firstIndex(of: "$") {
      output += rest[..<dollar]
      rest = rest[rest.index(after: dollar)...]
      if rest.first == "$" {
        output += "$"
        rest = rest.dropFirst()
      } else if rest.first == "(", let end = rest.firstIndex(of: ")") {
        let name = String(rest[rest.index(after: rest.startIndex)..<end])
        output += variables[name] ?? "$(\(name))"
        rest = rest[rest.index(after: end)...]
      } else {
        output += "$"
      }
    }
    return output + rest
  }
}
