import Addressing
import BPF
import CNI
import ControlPlane
import Datapath
import Files
import JSON
import KubernetesAPI
import Logging
import Netlink
import NodeAPI
import Operator
import Workloads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// `martlet up`: one Linux host as a whole cluster. Holds the API server and the runtime of pods; keeps an agent and a proxy
/// running as processes of their own.
public struct Host: Sendable {
  private let configuration: HostConfiguration
  private let logger: Logger
  private let lock: InstanceLock
  private let hold: NamespaceHold
  private let share: NamespaceShare

  /// Checks what the host must have, and takes the state directory and a share of the network namespace; throws saying what is
  /// missing, or what another instance has.
  public init(configuration: HostConfiguration, logger: Logger) throws {
    let directory = configuration.directory
    try Preflight().check(devices: configuration.devices)
    try Preflight.check(directory)
    try Preflight.mountBPFFS()
    try directory.create()
    lock = try InstanceLock(directory)
    hold = NamespaceHold(instance: directory.instance)
    share = try hold.claim { others in
      let remembered = RememberedShare(of: directory)
      let share = try NamespaceShare(configuration, remembered: remembered, try Host.surroundings(others))
      try Preflight.check(
        pods: share.podCIDRs, services: share.serviceCIDRs, balancers: configuration.loadBalancerCIDRs)
      let neighbours = Set(others.filter { $0.kind == .state }.map(\.value)).sorted().joined(separator: ", ")
      if !neighbours.isEmpty { logger.info("beside \(neighbours) in this network namespace: \(share)") }
      if configuration.serviceCIDRs == nil, let before = remembered.serviceCIDRs, before != share.serviceCIDRs {
        let blocks = before.map(\.description).joined(separator: ",")
        logger.warning(
          "another instance has \(blocks) now: Services with an address of it are not reached from the node")
      }
      return (share, share.claims(configuration))
    }
    try RememberedShare(share, of: configuration).save(in: directory)
    self.configuration = configuration
    self.logger = logger
  }

  private static func surroundings(_ others: [NamespaceClaim]) throws(NetlinkError) -> NamespaceShare.Surroundings {
    let netlink = try NetlinkHandle()
    let inUse = try netlink.addresses().map { CIDR($0.address) } + netlink.routes(table: .main).map(\.destination)
    return NamespaceShare.Surroundings(others: others, inUse: inUse, isPortFree: Preflight.isPortFree)
  }

  /// Runs until the task is cancelled, then ends the workloads, the processes and, unless it is to be kept, the datapath.
  public func run() async throws {
    let directory = configuration.directory
    var settings = ControlPlaneConfiguration(stateDirectory: directory.path)
    settings.address = share.api.address
    settings.port = Int(share.api.port)
    settings.nodeName = configuration.nodeName
    settings.podCIDRs = share.podCIDRs.map(\.description)
    settings.serviceCIDRs = share.serviceCIDRs.map(\.description)
    settings.nodePorts = configuration.nodePorts ?? settings.nodePorts
    settings.loadBalancerCIDRs = configuration.loadBalancerCIDRs.map(\.description)
    settings.podLog = { request in
      PodLogReader.read(request, directory: directory)
    }
    let controlPlane = try await ControlPlane(configuration: settings, logger: logger)
    let (ready, becameReady) = AsyncStream.makeStream(of: Void.self)
    let (ended, end) = AsyncStream.makeStream(of: Void.self)
    // Not a child task: the API must outlive the workloads, whose last words it keeps.
    let api = Task {
      defer {
        becameReady.finish()
        end.finish()
      }
      try await controlPlane.run { becameReady.yield() }
    }
    var isReady = false
    for await _ in ready {
      isReady = true
      break
    }
    guard isReady else { return try await api.value }
    var result = await Task { try await self.runNode(apiEnd: ended) }.cancellingValue
    api.cancel()
    if case .failure(let error) = await api.result, case .success = result, !(error is CancellationError) {
      result = .failure(error)
    }
    if !configuration.keepsDatapath { removeDatapath() }
    try result.get()
  }

  private var agentArguments: [String] {
    var arguments = [
      "agent", "--state-dir", configuration.directory.path, "--node-name", configuration.nodeName, "--pod-cidr",
      share.podCIDRs.map(\.description).joined(separator: ","), "--metrics-address", "\(share.agentMetrics)",
      "--proxy-metrics-address", "\(share.proxyMetrics)",
    ]
    if configuration.audit { arguments.append("--audit") }
    if let range = configuration.nodePorts { arguments += ["--node-ports", "\(range.lowerBound)-\(range.upperBound)"] }
    for device in configuration.devices { arguments += ["--device", device] }
    if !configuration.masquerades { arguments.append("--no-masquerade") }
    if !configuration.nativeCIDRs.isEmpty {
      arguments += ["--native-cidr", configuration.nativeCIDRs.map(\.description).joined(separator: ",")]
    }
    if let range = configuration.natPorts {
      arguments += ["--nat-port-range", "\(range.lowerBound)-\(range.upperBound)"]
    }
    if let mode = configuration.loadBalancerMode { arguments += ["--load-balancer-mode", mode.rawValue] }
    if let acceleration = configuration.acceleration {
      arguments += ["--load-balancer-acceleration", acceleration.rawValue]
    }
    if let size = configuration.maglevSize { arguments += ["--maglev-table-size", "\(size)"] }
    for (map, size) in configuration.mapSizes.sizes { arguments += ["--map-size", "\(map.rawValue)=\(size)"] }
    if let grace = configuration.fqdnGrace { arguments += ["--fqdn-grace", "\(grace)"] }
    if let minimum = configuration.fqdnMinimumTTL { arguments += ["--fqdn-min-ttl", "\(minimum)"] }
    return arguments
  }

  private var proxyArguments: [String] {
    var arguments = [
      "proxy", "--state-dir", configuration.directory.path, "--metrics-address", "\(share.proxyMetrics)",
    ]
    if let endpoint = configuration.otlpEndpoint { arguments += ["--otlp-endpoint", endpoint] }
    if let percent = configuration.traceSampling { arguments += ["--trace-sampling", "\(percent)"] }
    return arguments
  }

  /// `apiEnd` finishes when the API server does.
  private func runNode(apiEnd: AsyncStream<Void>) async throws {
    let directory = configuration.directory
    let client = try KubernetesClient(configuration: .kubeconfig(path: directory.kubeconfig))
    let addresses = try await registerNode(client)
    let proxy = child("proxy", proxyArguments)
    let control = try HostControl(path: directory.hostSocket, logger: logger) { request in
      await ProxyReplacement(proxy, files: directory.proxy).answer(request)
    }
    control.start()
    defer { control.stop() }
    let pods = PodRuntimeConfiguration(
      stateDirectory: directory.path, instance: directory.instance, nodeName: configuration.nodeName,
      hostAddresses: addresses, plugin: [Executable.path, "cni"], environment: Environment.all)
    // Before the agent, whose programs are attached to it.
    let cgroupRoot = try Cgroup.systemMountPoint()
    let podCgroup = Cgroup(path: pods.cgroupFolder(mountPoint: cgroupRoot))
    try podCgroup.create()
    let agent = child("agent", agentArguments + ["--pod-cgroup", podCgroup.path, "--cgroup-root", cgroupRoot])
    let runtime = PodRuntime(configuration: pods, client: client, logger: logger)
    // The children go on until the pods have gone: the agent disconnects them.
    let children = Task {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await agent.run() }
        group.addTask { await proxy.run() }
      }
    }
    var failure: (any Error)?
    await withTaskGroup(of: (any Error)?.self) { group in
      group.addTask {
        do { try await runtime.run() } catch { return error }
        return nil
      }
      group.addTask {
        for await _ in apiEnd {}
        return nil
      }
      group.addTask {
        await self.keepNodeRegistered(client)
        return nil
      }
      group.addTask { [logger] in
        await IdentityCollector(api: client, logger: logger).run()
        return nil
      }
      group.addTask { [logger] in
        await EndpointSliceController(client: client, logger: logger).run()
        return nil
      }
      failure = await group.next() ?? nil
      group.cancelAll()
    }
    agent.stop()
    proxy.stop()
    await children.value
    if let failure, !(failure is CancellationError) { throw failure }
  }

  private func child(_ name: String, _ arguments: [String]) -> ChildProcess {
    ChildProcess(
      name: name, arguments: arguments, pidFile: "\(configuration.directory.run)/\(name).pid", logger: logger)
  }

  /// Makes or renews this host's Node object. Returns the host's addresses, which pods see as their node's.
  private func registerNode(_ client: KubernetesClient) async throws -> [IPAddress] {
    let addresses = try share.podCIDRs.map { try AddressPool($0).gateway }
    let node: JSONValue = [
      "apiVersion": "v1", "kind": "Node",
      "metadata": [
        "name": .string(configuration.nodeName),
        "labels": ["kubernetes.io/hostname": .string(configuration.nodeName), "kubernetes.io/os": "linux"],
      ],
      "spec": [
        "podCIDR": .string(share.podCIDRs.first?.description ?? ""),
        "podCIDRs": .array(share.podCIDRs.map { .string($0.description) }),
      ],
    ]
    do throws(KubernetesError) {
      _ = try await client.create(Node.resource, node)
    } catch {
      guard error.isConflict else { throw error }
    }
    _ = try await client.patchStatus(
      Node.resource, namespace: nil, name: configuration.nodeName,
      [
        "status": [
          "addresses": .array(
            addresses.map { ["type": "InternalIP", "address": .string($0.description)] }
              + [["type": "Hostname", "address": .string(configuration.nodeName)]]),
          "conditions": [
            ["type": "Ready", "status": "True", "reason": "MartletUp", "message": "martlet up is running"]
          ],
        ]
      ])
    return addresses
  }

  /// Registers the node again when somebody has deleted its object: nobody else makes one. Returns when the task is cancelled.
  private func keepNodeRegistered(_ client: KubernetesClient) async {
    let options = ListOptions(fieldSelector: "metadata.name=\(configuration.nodeName)")
    for await delta in Reflector<Node>(client: client, options: options, logger: logger).deltas() {
      switch delta {
      case .deleted: break
      case .replaced(let nodes, let invalid) where nodes.isEmpty && invalid.isEmpty: break
      default: continue
      }
      logger.warning("node \(configuration.nodeName) was deleted from the API; registering it again")
      while !Task.isCancelled {
        do {
          _ = try await registerNode(client)
          break
        } catch {
          logger.error("node \(configuration.nodeName) can not be registered, trying again in a second: \(error)")
          try? await Task.sleep(for: .seconds(1))
        }
      }
    }
  }

  private func removeDatapath() {
    let directory = configuration.directory
    do {
      try DatapathPins(root: directory.pins).removeAll()
      try hold.leave { isLast in
        try NodeNetwork(instance: directory.instance).remove(sharedToo: isLast)
      }
    } catch {
      logger.warning("the datapath could not be removed: \(error)")
    }
  }
}

/// This process's own executable.
enum Executable {
  /// Where it was when the process began: after an upgrade the new one is there, and the kernel calls the old one deleted.
  static let path: String = {
    guard let resolved = realpath("/proc/self/exe", nil) else { return CommandLine.arguments.first ?? "martlet" }
    defer { free(resolved) }
    return String(cString: resolved)
  }()
}

enum Environment {
  /// The variables of this process.
  static var all: [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
      entry += 1
    }
    return variables
  }
}

extension Task where Failure == any Error {
  /// The task's result; the task is cancelled with the caller's.
  fileprivate var cancellingValue: Result<Success, Failure> {
    get async {
      await withTaskCancellationHandler {
        await result
      } onCancel: {
        cancel()
      }
    }
  }
}
