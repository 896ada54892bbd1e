import ArgumentParser
import NodeAPI
import Workloads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

struct Exec: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a command beside a pod's process, in its network namespace and cgroup.",
    discussion: "Example: martlet exec reviews-v1 -- curl -s http://10.244.0.3:9080/")

  @OptionGroup var instance: InstanceOptions

  @Option(name: [.short, .long], help: "Namespace of the pod.")
  var namespace = "default"

  @Argument(help: "Name of the pod.")
  var name: String

  @Argument(parsing: .postTerminator, help: "The command and its arguments.")
  var command: [String]

  func run() throws {
    guard !command.isEmpty else { throw ValidationError("give the command after --") }
    do throws(PodExecError) {
      try PodExec.replaceProcess(
        stateDirectory: instance.directory.path, namespace: namespace, name: name, command: command,
        environment: environment())
    } catch {
      complain("\(error)")
      throw Exit.no
    }
  }
}

struct Logs: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what a pod has written.", discussion: "Example: martlet logs reviews-v1 -f")

  @OptionGroup var instance: InstanceOptions

  @Option(name: [.short, .long], help: "Namespace of the pod.")
  var namespace = "default"

  @Flag(name: [.short, .long], help: "Go on with what it writes from now on.")
  var follow = false

  @Option(help: "Only the last so many lines.")
  var tail: Int?

  @Argument(help: "Name of the pod.")
  var name: String

  func run() throws {
    do {
      try PodLogs.read(
        stateDirectory: instance.directory.path, namespace: namespace, name: name, tail: tail, follow: follow
      ) { piece in
        piece.withUnsafeBytes { write(1, $0.baseAddress, $0.count) } >= 0
      }
    } catch {
      complain("no log of pod \(namespace)/\(name): \(error)")
      throw Exit.no
    }
  }
}

/// The variables of this process.
func environment() -> [String: String] {
  var variables: [String: String] = [:]
  var entry = environ
  while let text = entry.pointee {
    let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
    entry += 1
  }
  return variables
}
