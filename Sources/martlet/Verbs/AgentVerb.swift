import Agent
import ArgumentParser
import Datapath
import Host
import NodeMetrics

struct AgentVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agent", abstract: "Run this node's agent (started by `martlet up`).",
    discussion: "Example: martlet agent --node-name n1 --pod-cidr 10.244.0.0/16,fd00:10:244::/64")

  @OptionGroup var instance: InstanceOptions

  @Option(help: "Name of the Node object.")
  var nodeName: String

  @Option(name: .customLong("pod-cidr"), help: "Blocks for the pods of this node: IPv4,IPv6.")
  var podCIDR: String

  @Flag(help: "Judge and report traffic, but drop nothing.")
  var audit = false

  @Option(name: .customLong("device"), help: "A device on which the node's own traffic is judged; can be repeated.")
  var devices: [String] = []

  @Option(help: "Where Prometheus finds this agent: ADDRESS:PORT (default: $MARTLET_AGENT_METRICS or 127.0.0.1:9962).")
  var metricsAddress: String?

  @Option(help: "Where Prometheus finds this node's proxy, for `martlet status`: ADDRESS:PORT.")
  var proxyMetricsAddress: String?

  @Option(name: .customLong("map-size"), help: "Size of a map: NAME=ENTRIES.")
  var mapSizes: [String] = []

  @Option(help: "The cgroup (v2) of this node's pods; their clients of Services are balanced at the socket.")
  var podCgroup: String?

  @Option(help: "The root of the cgroups (v2), for clients among the node's own processes.")
  var cgroupRoot: String?

  @Option(name: .customLong("node-ports"), help: "Ports for Services of the type NodePort: FIRST-LAST.")
  var nodePorts: String?

  @Option(help: "Source ports of translated connections: FIRST-LAST.")
  var natPortRange: String?

  @Flag(inversion: .prefixedNo, help: "Pods' packets leave by way of the devices with the node's address.")
  var masquerade = true

  @Option(name: .customLong("native-cidr"), help: "Where pods go with their own address nevertheless: blocks.")
  var nativeCIDR: String?

  @Option(help: "Who answers clients outside whose backend is on another node.")
  var loadBalancerMode: LoadBalancerMode?

  @Option(help: "Whether XDP sends on what only turns round at the devices.")
  var loadBalancerAcceleration: Acceleration?

  @Option(help: "Entries of Maglev's tables.")
  var maglevTableSize: Int?

  @Option(help: "Seconds that an address stays allowed after the DNS answer that named it has expired.")
  var fqdnGrace: Int64?

  @Option(name: .customLong("fqdn-min-ttl"), help: "Seconds that a DNS answer holds at least.")
  var fqdnMinimumTTL: Int64?

  func run() async throws {
    var configuration = AgentConfiguration(
      directory: instance.directory, nodeName: nodeName, podCIDRs: try blocks(podCIDR, "--pod-cidr"))
    configuration.audit = audit
    configuration.devices = devices
    if let fqdnGrace { configuration.names.grace = max(0, fqdnGrace) }
    if let fqdnMinimumTTL { configuration.names.minimumTimeToLive = max(0, fqdnMinimumTTL) }
    configuration.metricsAddress = try MetricsOption.agent.address(metricsAddress)
    configuration.proxyMetricsAddress = try MetricsOption.proxy.address(proxyMetricsAddress)
    for text in mapSizes {
      let parts = text.split(separator: "=")
      guard parts.count == 2, let map = SizedMap(rawValue: String(parts[0])), let size = UInt32(parts[1]),
        map.problem(size: Int64(size)) == nil
      else { throw ValidationError("--map-size: \"\(text)\" is not NAME=ENTRIES") }
      configuration.mapSizes.sizes[map] = size
    }
    if let podCgroup, let cgroupRoot {
      configuration.socketCgroups = SocketCgroups(pods: podCgroup, root: cgroupRoot)
    }
    configuration.nodePorts = try nodePorts.map { try portRange($0, "--node-ports") } ?? configuration.nodePorts
    configuration.natPorts = try natPortRange.map { try portRange($0, "--nat-port-range") } ?? configuration.natPorts
    configuration.masquerades = masquerade
    configuration.nativeCIDRs = try nativeCIDR.map { try anyBlocks($0, "--native-cidr") } ?? []
    configuration.loadBalancerMode = loadBalancerMode ?? configuration.loadBalancerMode
    configuration.acceleration = loadBalancerAcceleration ?? configuration.acceleration
    configuration.maglevSize = try maglevTableSize.map(maglevSize) ?? configuration.maglevSize
    let logger = startLogging("agent")
    do {
      let agent = try Agent(configuration: configuration, logger: logger)
      try await runUntilSignalled { try await agent.run() }
    } catch {
      complain("agent: \(error)")
      throw Exit.no
    }
  }
}
