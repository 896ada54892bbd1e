import Glibc
import JSON
import Synchronization
import TestSupport
import Testing

/// A node of its own: a network namespace with `martlet up` in it, and behind a cable a second namespace, the world.
///
/// The world is 192.0.2.2 and .3, 2001:db8::2 and ::3, and knows the way to the pods.
final class Node: Sendable {
  let name: String
  let directory: String
  private let arguments: [String]
  /// What `up` runs.
  private let executable: String
  /// Whether the network namespace is another node's.
  private let isGuest: Bool
  private let upChild: Mutex<Child>
  private var up: Child { upChild.withLock { $0 } }
  /// Of the pods asked for: a test that replaces a pod gives the new one another name.
  let addresses = Mutex<[String: [String]]>([:])
  /// Processes beside the node that end with it.
  private let companions = Mutex<[Child]>([])

  /// The executable under test.
  static let binary: String = {
    if let path = getenv("MARTLET_BINARY") { return String(cString: path) }
    return #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/bin/martlet"
  }()

  /// Why these tests can not run here; nil when they can.
  static let obstacle: String? = {
    if geteuid() != 0 { return "needs root" }
    if access(binary, X_OK) != 0 { return "no executable at \(binary)" }
    return nil
  }()

  private static let counter = Counter()

  /// Starts a node and waits until it is ready. `arguments` are those of `up`; `prepare` is told its network namespace before.
  init(
    _ arguments: [String] = [], executable: String = Node.binary, _ prepare: (String) throws -> Void = { _ in }
  ) throws {
    self.arguments = arguments
    self.executable = executable
    isGuest = false
    name = "mlte2e-\(getpid())-\(Node.counter.next())"
    directory = try TemporaryDirectory.make("e2e-node")
    do {
      try Node.network(name)
      try prepare(name)
      upChild = Mutex(try Node.spawn(executable, name, directory, arguments))
    } catch {
      Node.remove(name, directory)
      throw error
    }
    do { try waitUntilReady() } catch {
      stop()
      throw error
    }
  }

  /// Starts a node in the network namespace of another one, whose name it has too, and waits until it is ready.
  init(beside other: Node, _ arguments: [String] = []) throws {
    self.arguments = arguments
    executable = Node.binary
    isGuest = true
    name = other.name
    directory = try TemporaryDirectory.make("e2e-guest")
    do { upChild = Mutex(try Node.spawn(executable, name, directory, arguments)) } catch {
      TemporaryDirectory.remove(directory)
      throw error
    }
    do { try waitUntilReady() } catch {
      stop()
      throw error
    }
  }

  private func waitUntilReady() throws {
    let ready = try martlet("status", "--wait", "--timeout", "30s")
    guard ready.status == 0 else { throw Failure("the node did not become ready: \(ready)\n\(log)") }
  }

  /// `up` dies without notice, and its agent and its proxy with it.
  func crash() {
    up.signal(SIGKILL)
    up.wait()
  }

  /// Starts `up` again after its end, with the same state directory.
  func start() throws {
    let child = try Node.spawn(executable, name, directory, arguments)
    upChild.withLock { $0 = child }
    try waitUntilReady()
  }

  /// Runs `body` on a node that is gone afterwards, whatever happens.
  static func with<Result>(_ arguments: [String] = [], _ body: (Node) throws -> Result) throws -> Result {
    let node = try Node(arguments)
    defer { node.stop() }
    return try body(node)
  }

  private static func network(_ name: String) throws {
    let world = name + "w"
    try must(["ip", "netns", "add", name])
    try must(["ip", "netns", "add", world])
    for namespace in [name, world] { try must(["ip", "-n", namespace, "link", "set", "lo", "up"]) }
    try must(["ip", "-n", name, "link", "add", "world", "type", "veth", "peer", "name", "node", "netns", world])
    try must(["ip", "-n", name, "link", "set", "world", "up"])
    try must(["ip", "-n", world, "link", "set", "node", "up"])
    try must(["ip", "-n", name, "addr", "add", "192.0.2.1/24", "dev", "world"])
    try must(["ip", "-n", name, "addr", "add", "2001:db8::1/64", "dev", "world", "nodad"])
    for host in [2, 3] {
      try must(["ip", "-n", world, "addr", "add", "192.0.2.\(host)/24", "dev", "node"])
      try must(["ip", "-n", world, "addr", "add", "2001:db8::\(host)/64", "dev", "node", "nodad"])
    }
    try must(["ip", "-n", world, "route", "add", "10.244.0.0/16", "via", "192.0.2.1", "src", "192.0.2.2"])
    try must(["ip", "-n", world, "route", "add", "fd00:10:244::/64", "via", "2001:db8::1", "src", "2001:db8::2"])
  }

  private static func spawn(
    _ executable: String, _ name: String, _ directory: String, _ arguments: [String]
  ) throws -> Child {
    try Child(
      ["ip", "netns", "exec", name, executable, "up", "--state-dir", directory + "/state", "--node-name", name]
        + arguments,
      output: directory + "/log", errors: directory + "/log")
  }

  /// Ends the node as an operator would, and removes what the test has made for it.
  func stop() {
    for companion in companions.withLock({ $0 }) {
      companion.signal(SIGKILL)
      companion.wait()
    }
    let traces = Traces(of: self)
    terminate()
    traces.sweep()
    if isGuest { TemporaryDirectory.remove(directory) } else { Node.remove(name, directory) }
  }

  /// Ends a process when the node stops.
  func keepUntilStop(_ companion: Child) { companions.withLock { $0.append(companion) } }

  /// SIGTERM, and SIGKILL when that does not help; the status.
  @discardableResult func terminate() -> Int32 {
    up.signal(SIGTERM)
    if !eventually(within: 20, { !up.isRunning }) { up.signal(SIGKILL) }
    return up.wait()
  }

  private static func remove(_ name: String, _ directory: String) {
    for namespace in [name, name + "w"] { _ = try? command(["ip", "netns", "del", namespace]) }
    TemporaryDirectory.remove(directory)
  }

  var state: String { directory + "/state" }
  var log: String { read(directory + "/log") }

  var pid: pid_t { up.pid }

  /// The pid in one of the state directory's pid files: `agent` or `proxy`.
  func pid(of process: String) -> pid_t? { pid_t(read("\(state)/run/\(process).pid").trimmed) }
}

// MARK: - What a user does

extension Node {
  var environment: [String: String] { ["MARTLET_STATE_DIR": state, "HOME": directory] }

  /// Runs a command in the node's network namespace.
  func onNode(_ arguments: [String], stdin: String? = nil, seconds: Int = 40) throws -> Outcome {
    try command(["ip", "netns", "exec", name] + arguments, environment: environment, stdin: stdin, seconds: seconds)
  }

  /// The devices of pods on the node: `mlt` and eight hexadecimal digits, unlike the node's own.
  var podDevices: [String] {
    get throws {
      try onNode(["ip", "-o", "link"]).output.split(separator: "\n").compactMap { line in
        let name = line.split(separator: " ").dropFirst().first?.prefix { $0 != "@" && $0 != ":" }
        guard let name, name.hasPrefix("mlt"), name.dropFirst(3).allSatisfy(\.isHexDigit) else { return nil }
        return String(name)
      }
    }
  }

  /// Starts a server in the world; the caller ends it.
  func serverInWorld(port: Int) throws -> Child {
    try Child(["ip", "netns", "exec", name + "w", Node.binary, "bookinfo", "serve", "details", "--port", "\(port)"])
  }

  @discardableResult func martlet(_ arguments: String...) throws -> Outcome {
    try onNode([Node.binary] + arguments)
  }

  @discardableResult func kubectl(_ arguments: String..., stdin: String? = nil) throws -> Outcome {
    try onNode(["kubectl", "--kubeconfig", state + "/kubeconfig"] + arguments, stdin: stdin)
  }

  /// Applies a manifest and waits until the node follows it.
  func apply(_ manifest: String) throws {
    let applied = try kubectl("apply", "-f", "-", stdin: manifest)
    guard applied.status == 0 else { throw Failure("kubectl apply: \(applied)") }
    try waitForPolicies()
  }

  func delete(_ manifest: String) throws {
    let deleted = try kubectl("delete", "--wait=true", "-f", "-", stdin: manifest)
    guard deleted.status == 0 else { throw Failure("kubectl delete: \(deleted)") }
    try waitForPolicies()
  }

  private func waitForPolicies() throws {
    let waited = try martlet("policy", "wait", "--timeout", "20s")
    guard waited.status == 0 else { throw Failure("martlet policy wait: \(waited)\n\(log)") }
  }

  func runPod(
    _ name: String, namespace: String = "default", labels: String, command: [String] = ["sleep", "infinity"],
    ports: [String] = []
  ) throws {
    let outcome = try onNode(
      [Node.binary, "run", "--name", name, "-n", namespace, "-l", labels] + ports.flatMap { ["--port", $0] }
        + ["--timeout", "20s", "--detach", "--"] + command)
    guard outcome.status == 0 else { throw Failure("martlet run \(name): \(outcome)\n\(log)") }
  }

  /// A pod that answers HTTP on every one of `ports`.
  func runServer(_ name: String, labels: String, serving ports: [Int] = [9080], role: String = "ratings") throws {
    let servers = ports.map { "\(Node.binary) bookinfo serve \(role) --port \($0)" }
    try runPod(
      name, labels: labels, command: ["sh", "-c", servers.joined(separator: " & ")], ports: ["http=\(ports[0])"])
    for port in ports {
      let listens = try eventually(within: 20) {
        try request(from: .pod(name), to: .pod(name), port: port, family: .ipv4, timeout: 1) == "200"
      }
      guard listens else { throw Failure("pod \(name) does not answer on port \(port)\n\(log)") }
    }
  }

  func exec(_ pod: String, namespace: String = "default", _ command: [String]) throws -> Outcome {
    try onNode([Node.binary, "exec", "-n", namespace, pod, "--"] + command)
  }

  func address(of pod: String, namespace: String = "default", _ family: Family) throws -> String {
    let key = "\(namespace)/\(pod)"
    if let known = addresses.withLock({ $0[key] }) { return known[family == .ipv4 ? 0 : 1] }
    let answer = try kubectl("get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.podIPs[*].ip}")
    let both = answer.text.split(separator: " ").map(String.init)
    guard both.count == 2 else { throw Failure("pod \(key) has no two addresses: \(answer)") }
    addresses.withLock { $0[key] = both }
    return both[family == .ipv4 ? 0 : 1]
  }
}

/// Numbers nodes of this process.
private final class Counter: Sendable {
  private let value = Atomic<Int>(0)
  func next() -> Int { value.add(1, ordering: .relaxed).newValue }
}
