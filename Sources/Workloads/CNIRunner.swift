import CLinux
import CNI
import Files
import Glibc
import JSON

/// Executes a CNI plugin as a kubelet's container runtime does: parameters in the environment, the configuration on
/// standard input, the answer on standard output.
public struct CNIRunner: Sendable {
  /// The program and the arguments that make it the plugin, such as `["/usr/bin/martlet", "cni"]`.
  public var command: [String]
  public var networkName: String
  public var agentSocket: String
  /// Milliseconds after which a plugin that does not answer is killed.
  public var timeout: Int32

  public init(
    command: [String], networkName: String = WorkloadNetwork.name, agentSocket: String, timeout: Int32 = 30_000
  ) {
    self.command = command
    self.networkName = networkName
    self.agentSocket = agentSocket
    self.timeout = timeout
  }

  /// One interface of one sandbox, and the Pod that it is for.
  public struct Sandbox: Hashable, Sendable {
    public var key: CNIAttachmentKey
    public var netns: String
    public var podNamespace: String
    public var podName: String
    public var podUID: String

    public init(key: CNIAttachmentKey, netns: String, podNamespace: String, podName: String, podUID: String) {
      self.key = key
      self.netns = netns
      self.podNamespace = podNamespace
      self.podName = podName
      self.podUID = podUID
    }
  }

  /// Blocks, like all of these.
  public func add(_ sandbox: Sandbox) throws(WorkloadError) -> AttachmentResult {
    let answer = try execute(.add, sandbox: sandbox)
    do {
      return try AttachmentResult(JSONCursor(JSONValue(parsing: answer)))
    } catch {
      throw .pluginDied("answered what can not be read: \(error)")
    }
  }

  public func delete(_ sandbox: Sandbox) throws(WorkloadError) { _ = try execute(.delete, sandbox: sandbox) }

  /// Lets the plugin remove every attachment of the network but these.
  public func collectGarbage(keeping keys: [CNIAttachmentKey]) throws(WorkloadError) {
    let valid = keys.map { key -> JSONValue in
      ["containerID": .string(key.containerID), "ifname": .string(key.interfaceName)]
    }
    _ = try execute(.collectGarbage, extra: ["cni.dev/valid-attachments": .array(valid)])
  }

  private func execute(
    _ verb: CNICommand, sandbox: Sandbox? = nil, extra: [String: JSONValue] = [:]
  ) throws(WorkloadError) -> [UInt8] {
    var configuration: JSONValue = [
      "cniVersion": .string(CNIVersion.current.rawValue), "name": .string(networkName), "type": "martlet",
      "agentSocket": .string(agentSocket),
    ]
    for (key, value) in extra { configuration[key] = value }
    var environment = ["CNI_COMMAND=\(verb.rawValue)", "CNI_PATH=/opt/cni/bin", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    if let sandbox {
      environment += [
        "CNI_CONTAINERID=\(sandbox.key.containerID)", "CNI_NETNS=\(sandbox.netns)",
        "CNI_IFNAME=\(sandbox.key.interfaceName)",
        "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=\(sandbox.podNamespace);K8S_POD_NAME=\(sandbox.podName);"
          + "K8S_POD_INFRA_CONTAINER_ID=\(sandbox.key.containerID);K8S_POD_UID=\(sandbox.podUID)",
      ]
    }
    let (output, exit) = try run(environment: environment, input: configuration.serialized())
    guard exit == .code(0) else {
      if let error = try? JSONValue(parsing: output), let message = error["msg"]?.stringValue {
        let details = error["details"]?.stringValue.map { ": \($0)" } ?? ""
        throw .plugin(code: error["code"]?.integerValue ?? 0, message: message + details)
      }
      throw .pluginDied("\(command.joined(separator: " ")) \(verb.rawValue) ended with \(exit)")
    }
    return output
  }

  private func run(environment: [String], input: [UInt8]) throws(WorkloadError) -> ([UInt8], ProcessExit) {
    guard let program = command.first else { throw .pluginDied("is not configured") }
    let stdin = try Pipe()
    let stdout = try Pipe()
    // The configuration fits the pipe's buffer (64 KB), so it can be written before there is a reader: no partner can
    // die meanwhile, and no SIGPIPE come.
    guard input.count <= 32 << 10, write(stdin.writing, input, input.count) == input.count else {
      throw .pluginDied("configuration does not fit a pipe")
    }
    stdin.closeWriting()
    var pid: pid_t = 0
    let status = withCStrings(command) { arguments in
      withCStrings(environment) { environment in
        clinux_spawn_filter(program, arguments, environment, stdin.reading, stdout.writing, 2, &pid)
      }
    }
    guard status == 0 else { throw .spawn(step: "execute", command: program, errno: -status) }
    stdout.closeWriting()
    let output = stdout.readToEnd(timeout: timeout)
    if output == nil { kill(pid, SIGKILL) }
    var raw: Int32 = 0
    while waitpid(pid, &raw, 0) < 0, errno == EINTR {}
    guard let output else { throw .pluginDied("did not answer within \(timeout) ms") }
    return (output, raw & 0x7F == 0 ? .code(raw >> 8 & 0xFF) : .signal(raw & 0x7F))
  }
}

/// Calls `body` with a NULL-terminated array of C strings, as execve(2) wants it.
func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  let copies = strings.map { strdup($0) } + [nil]
  defer { for copy in copies { free(copy) } }
  var pointers = copies
  // Never empty, as it ends with NULL, so the pointer is there; an empty list is what the fallback stands for.
  return pointers.withUnsafeMutableBufferPointer { buffer in
    var null: UnsafeMutablePointer<CChar>?
    return buffer.baseAddress.map(body) ?? withUnsafeMutablePointer(to: &null, body)
  }
}

/// A pipe that closes what is left of it at its end.
private final class Pipe {
  let reading: Int32
  let writing: Int32
  private var isWritingOpen = true

  init() throws(WorkloadError) {
    var descriptors: (Int32, Int32) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &descriptors) {
      clinux_pipe($0.baseAddress?.assumingMemoryBound(to: Int32.self))
    }
    guard status == 0 else { throw .file(FileError("make", "a pipe", errno: -status)) }
    (reading, writing) = descriptors
  }

  func closeWriting() {
    if isWritingOpen { close(writing) }
    isWritingOpen = false
  }

  deinit {
    close(reading)
    closeWriting()
  }

  /// nil when no end came within `timeout` milliseconds.
  func readToEnd(timeout: Int32) -> [UInt8]? {
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    let deadline = Clock.monotonicMilliseconds() + Int64(timeout)
    while true {
      var ready = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
      let left = deadline - Clock.monotonicMilliseconds()
      guard left > 0 else { return nil }
      guard poll(&ready, 1, Int32(clamping: left)) > 0 else { continue }
      let count = read(reading, &chunk, chunk.count)
      if count > 0 {
        output += chunk[..<count]
      } else if count == 0 || errno != EINTR {
        return output
      }
    }
  }
}
