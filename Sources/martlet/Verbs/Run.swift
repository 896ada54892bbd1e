import ArgumentParser
import JSON
import KubernetesAPI
import NodeAPI
import Threads
import Workloads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a command as a pod: a process in its own network namespace and cgroup.",
    discussion: """
      Without --detach its output is shown; the pod ends with the command, or on SIGTERM and SIGINT.
      Example: martlet run --name reviews-v1 -l app=reviews,version=v1 --port http=9080 --detach -- ./reviews
      """)

  @OptionGroup var instance: InstanceOptions

  @Option(help: "Name of the pod.")
  var name: String

  @Option(name: [.short, .long], help: "Namespace of the pod.")
  var namespace = "default"

  @Option(name: [.customShort("l"), .long], help: "Labels: KEY=VALUE,KEY=VALUE.")
  var labels: [String] = []

  @Option(help: "Service account of the pod.")
  var serviceAccount = "default"

  @Option(help: "A port that the command listens on: [NAME=]PORT[/PROTOCOL].")
  var port: [String] = []

  @Option(help: "A variable of the command's environment: KEY=VALUE.")
  var env: [String] = []

  @Option(help: "Start the command again when it ends: Never, OnFailure or Always, with growing pauses.")
  var restart = Workload.RestartPolicy.never

  @Flag(help: "Return when the pod is ready; it goes on.")
  var detach = false

  @Option(help: "How long to wait until the pod is ready.", transform: parseDuration)
  var timeout = Duration.seconds(30)

  @Argument(parsing: .postTerminator, help: "The command and its arguments.")
  var command: [String]

  func validate() throws {
    guard !command.isEmpty else { throw ValidationError("give the command after --") }
    _ = try port.map(containerPort)
    _ = try pairs(env, "--env")
    _ = try pairs(labelPairs, "-l")
  }

  private var labelPairs: [String] { labels.flatMap { $0.split(separator: ",").map(String.init) } }

  func run() async throws {
    let client: KubernetesClient
    do throws(ConfigurationError) {
      client = try KubernetesClient(configuration: .kubeconfig(path: instance.directory.kubeconfig))
    } catch {
      complain("\(error); is `martlet up` running?")
      throw Exit.unreachable
    }
    try await start(client)
    if detach {
      print("pod/\(name) ready")
    } else {
      throw ExitCode(try await follow(client))
    }
  }

  private func start(_ client: KubernetesClient) async throws {
    do throws(KubernetesError) {
      let node = try await client.list(Node.self).items.first?.metadata.name ?? ""
      try await create(client, try pod(node: node))
      let deadline = ContinuousClock.now + timeout
      while true {
        let pod = try await client.get(Pod.self, namespace: namespace, name: name)
        if pod.status.isReady || (!detach && pod.status.phase == "Running") { return }
        if let phase = pod.status.phase, phase == "Failed" || phase == "Succeeded" {
          if !detach { return }
          if let reason = await startError(client) {
            complain(reason.message)
          } else {
            complain(
              "the command of pod \(namespace)/\(name) ended at once (\(phase)); `martlet logs \(name)` shows why")
          }
          throw KubernetesError.transport("")
        }
        guard ContinuousClock.now < deadline else {
          complain("pod \(namespace)/\(name) is not ready after \(timeout); `kubectl describe pod \(name)` shows why")
          throw KubernetesError.transport("")
        }
        try? await Task.sleep(for: .milliseconds(10))
      }
    } catch {
      if case .transport(let text) = error, text.isEmpty { throw Exit.no }
      complain("\(error)")
      throw error.code == nil ? Exit.unreachable : Exit.no
    }
  }

  /// Marks the pods that this verb has made, and may replace.
  private static let makerAnnotation = "workloads.martlet.io/made-by"

  /// Makes the pod, in place of one of its name that an earlier `martlet run` has left and that has ended.
  private func create(_ client: KubernetesClient, _ pod: JSONValue) async throws(KubernetesError) {
    do throws(KubernetesError) {
      _ = try await client.create(Pod.resource, pod)
      return
    } catch {
      guard error.isConflict else { throw error }
    }
    let old = try await client.get(Pod.resource, namespace: namespace, name: name)
    let phase = old[path: "status", "phase"]?.stringValue ?? "Pending"
    let isOwn = old["metadata"]?["annotations"]?[Run.makerAnnotation] != nil
    guard isOwn, phase == "Succeeded" || phase == "Failed" else {
      let state = isOwn ? "it is \(phase)" : "`martlet run` has not made it"
      complain(
        "there is a pod \(namespace)/\(name) already (\(state)); `kubectl delete pod \(name) -n \(namespace)` removes it"
      )
      throw .transport("")
    }
    do throws(KubernetesError) {
      try await client.delete(
        Pod.resource, namespace: namespace, name: name, DeleteOptions(uid: old["metadata"]?["uid"]?.stringValue))
    } catch {
      guard error.isNotFound else { throw error }
    }
    let deadline = ContinuousClock.now + timeout
    while true {
      do throws(KubernetesError) {
        _ = try await client.create(Pod.resource, pod)
        return
      } catch {
        guard error.isConflict, ContinuousClock.now < deadline else { throw error }
      }
      try? await Task.sleep(for: .milliseconds(20))
    }
  }

  /// Why the command could not be started, and the exit code that a shell has for that; nil when it could.
  private func startError(_ client: KubernetesClient) async -> (message: String, code: Int32)? {
    guard let pod = try? await client.get(Pod.resource, namespace: namespace, name: name) else { return nil }
    let end = pod[path: "status", "containerStatuses"]?.arrayValue?.first?[path: "state", "terminated"]
    guard let end, end["reason"] == "StartError" else { return nil }
    return (
      end["message"]?.stringValue ?? "the command can not be started", Int32(end["exitCode"]?.integerValue ?? 126)
    )
  }

  /// Shows the output until the command ends, or a signal ends the pod. Returns the command's exit code.
  private func follow(_ client: KubernetesClient) async throws -> Int32 {
    let directory = instance.directory.path
    let (namespace, name) = (namespace, name)
    DetachedThread.start {
      try? PodLogs.read(stateDirectory: directory, namespace: namespace, name: name, follow: true) { piece in
        piece.withUnsafeBytes { write(1, $0.baseAddress, $0.count) } >= 0
      }
    }
    var status: Int32 = 143
    try? await runUntilSignalled {
      while true {
        let pod = try await client.get(Pod.resource, namespace: namespace, name: name)
        let phase = pod[path: "status", "phase"]?.stringValue
        if phase == "Succeeded" || phase == "Failed" { return }
        try await Task.sleep(for: .milliseconds(50))
      }
    }
    if let pod = try? await client.get(Pod.resource, namespace: namespace, name: name) {
      let container = pod[path: "status", "containerStatuses"]?.arrayValue?.first
      if let code = container?[path: "state", "terminated", "exitCode"]?.integerValue { status = Int32(code) }
    }
    if let reason = await startError(client) { complain(reason.message) }
    _ = try? await client.delete(Pod.resource, namespace: namespace, name: name)
    // The last words of the command.
    usleep(100_000)
    return status
  }

  private func pod(node: String) throws(KubernetesError) -> JSONValue {
    do {
      var variables = env
      if !env.contains(where: { $0.hasPrefix("PATH=") }), let path = getenv("PATH") {
        variables.append("PATH=\(String(cString: path))")
      }
      let directory = getcwd(nil, 0)
      defer { free(directory) }
      return [
        "apiVersion": "v1", "kind": "Pod",
        "metadata": [
          "name": .string(name), "namespace": .string(namespace),
          "labels": .object(try pairs(labelPairs, "-l")),
          "annotations": [Run.makerAnnotation: "martlet run"],
        ],
        "spec": [
          "nodeName": .string(node), "serviceAccountName": .string(serviceAccount),
          "restartPolicy": .string(restart.rawValue),
          "containers": [
            [
              "name": .string(name), "image": "host",
              "command": .array(command.map { .string(ContainerCommand.escape($0)) }),
              "workingDir": .string(directory.map { String(cString: $0) } ?? "/"),
              "env": .array(
                try pairs(variables, "--env").sorted { $0.key < $1.key }.map {
                  ["name": .string($0.key), "value": $0.value]
                }),
              "ports": .array(try port.map(containerPort)),
            ]
          ],
        ],
      ]
    } catch {
      complain("\(error)")
      throw .malformed("\(error)")
    }
  }

  private func pairs(_ texts: [String], _ option: String) throws -> [String: JSONValue] {
    var pairs: [String: JSONValue] = [:]
    for text in texts {
      guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
        throw ValidationError("\(option): \"\(text)\" is not KEY=VALUE")
      }
      pairs[String(text[..<equals])] = .string(String(text[text.index(after: equals)...]))
    }
    return pairs
  }

  private func containerPort(_ text: String) throws -> JSONValue {
    let named = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let parts = (named.last ?? "").split(separator: "/", omittingEmptySubsequences: false)
    guard let number = parts.first.flatMap({ UInt16($0) }), number > 0, parts.count <= 2 else {
      throw ValidationError("--port: \"\(text)\" is not [NAME=]PORT[/PROTOCOL], as in http=9080/TCP")
    }
    var port: JSONValue = [
      "containerPort": .integer(Int64(number)),
      "protocol": .string(parts.count == 2 ? parts[1].uppercased() : "TCP"),
    ]
    if named.count == 2 { port["name"] = .string(String(named[0])) }
    return port
  }
}

extension Workload.RestartPolicy: ExpressibleByArgument {
  /// As the API writes it, in whatever case.
  public init?(argument: String) {
    guard
      let policy = Workload.RestartPolicy.allCases.first(where: {
        $0.rawValue.lowercased() == argument.lowercased()
      })
    else { return nil }
    self = policy
  }
}
