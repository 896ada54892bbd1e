import Addressing
import ArgumentParser
import ControlPlane
import Datapath
import Files
import Host
import Logging
import NodeAPI
import Services

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

struct Up: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a whole cluster on this host, in the foreground.",
    discussion: """
      Starts the API server, the runtime of workloads, the agent and the proxy. SIGTERM and SIGINT end it cleanly: workloads \
      end, links, pins, namespaces and cgroups go.

      Example: martlet up --state-dir /tmp/mesh --pod-cidr 10.44.0.0/16,fd44::/64

      A file may say the same, and the sizes of maps; what the command line says comes first:

        nodeName: n1
        podCIDR: [10.44.0.0/16, "fd44::/64"]
        audit: true
        maps: {connections: 500000, ipcache: 1000000}

      Its other fields are stateDir, apiAddress, serviceCIDR, serviceNodePortRange, loadBalancerCIDR, keepDatapath, \
      devices, masquerade, nativeCIDR, natPortRange, loadBalancerMode, loadBalancerAcceleration, maglevTableSize, otlpEndpoint and traceSampling; the maps are \
      \(SizedMap.allCases.map(\.rawValue).joined(separator: ", ")) (events in bytes).
      """)

  @OptionGroup var instance: InstanceOptions

  @Option(name: [.customLong("config")], help: "A YAML file with these settings.", completion: .file())
  var file: String?

  @Option(help: "Name of this host's Node (default: its host name).")
  var nodeName: String?

  @Option(help: "Where the API server listens (default: 127.0.0.1:6443, or the next port that no other instance has).")
  var apiAddress: String?

  @Option(
    name: .customLong("pod-cidr"),
    help:
      "Blocks for pods: IPv4,IPv6 (default: \(Up.text(HostDefaults.podCIDRs)), or the next that no other instance has)."
  )
  var podCIDR: String?

  @Option(
    name: .customLong("service-cidr"),
    help:
      "Blocks for services: IPv4,IPv6 (default: \(Up.text(HostDefaults.serviceCIDRs)), or the next that no other instance has)."
  )
  var serviceCIDR: String?

  @Option(help: "Ports that services get on this host: FIRST-LAST (default: \(Up.defaultNodePorts)).")
  var serviceNodePortRange: String?

  @Option(
    name: .customLong("load-balancer-cidr"),
    help: "Blocks for services of type LoadBalancer, separated by commas (default: none, they stay pending).")
  var loadBalancerCIDR: String?

  @Option(
    name: .customLong("device"),
    help:
      "A device of this host to the outside: policies about nodes judge the host's own traffic there, clients of services come in there; can be repeated."
  )
  var devices: [String] = []

  @Flag(
    inversion: .prefixedNo,
    help: "What pods send by way of a --device leaves with the host's address (default: it does).")
  var masquerade: Bool?

  @Option(
    name: .customLong("native-cidr"),
    help: "Blocks that pods reach with their own address nevertheless, separated by commas; pods' always are.")
  var nativeCIDR: String?

  @Option(
    help:
      "Source ports of translated connections: FIRST-LAST (default: \(NATPorts.standard.lowerBound)-\(NATPorts.standard.upperBound))."
  )
  var natPortRange: String?

  @Option(
    help: ArgumentHelp(
      "Who answers clients outside whose backend is on another node (default: snat).",
      discussion: "snat: this node. dsr: the backend's node, straight to the client. hybrid: dsr for TCP, snat for UDP."
    ))
  var loadBalancerMode: LoadBalancerMode?

  @Option(
    help: ArgumentHelp(
      "Whether XDP sends on, at each --device, what goes from clients outside to backends on other nodes, and back.",
      discussion: "best-effort: where the driver can. generic: without the driver, to try it."))
  var loadBalancerAcceleration: Acceleration?

  @Option(
    help: "Entries of Maglev's tables, one of \(MaglevTable.sizes) (default: \(MaglevTable.defaultSize)).")
  var maglevTableSize: Int?

  @Flag(help: "Judge and report traffic, but drop nothing.")
  var audit = false

  @Option(help: "Seconds that an address stays allowed after the DNS answer that named it has expired (default: 60).")
  var fqdnGrace: Int?

  @Option(name: .customLong("fqdn-min-ttl"), help: "Seconds that a DNS answer holds at least (default: 0).")
  var fqdnMinimumTTL: Int?

  @OptionGroup var tracing: TracingOptions

  @Flag(help: "Leave links and pins in place at the end.")
  var keepDatapath = false

  private static func text(_ defaults: [[CIDR]]) -> String {
    (defaults.first ?? []).map(\.description).joined(separator: ",")
  }

  private static let defaultNodePorts =
    "\(ControlPlaneConfiguration.defaultNodePorts.lowerBound)-\(ControlPlaneConfiguration.defaultNodePorts.upperBound)"

  func run() async throws {
    let configuration: HostConfiguration
    do {
      configuration = try self.configuration(try file.map(HostSettings.file) ?? HostSettings())
    } catch let error as ConfigurationFileError {
      complain("\(error)")
      throw Exit.usage
    }
    let logger = startLogging("up")
    do {
      let host = try Host(configuration: configuration, logger: logger)
      try await runUntilSignalled { try await host.run() }
    } catch {
      complain("\(error)")
      throw Exit.no
    }
  }

  private func configuration(_ file: HostSettings) throws -> HostConfiguration {
    var configuration = HostConfiguration(
      directory: StateDirectory(instance.stateDirectory ?? file.stateDirectory),
      nodeName: try nodeName ?? file.nodeName ?? hostName(),
      keepsDatapath: keepDatapath || file.keepsDatapath == true)
    configuration.apiAddress = try apiAddress.map(listenAddress) ?? file.apiAddress
    configuration.podCIDRs = try podCIDR.map { try blocks($0, "--pod-cidr") } ?? file.podCIDRs
    configuration.serviceCIDRs = try serviceCIDR.map { try blocks($0, "--service-cidr") } ?? file.serviceCIDRs
    configuration.agentMetrics = try MetricsOption.agent.address()
    configuration.proxyMetrics = try MetricsOption.proxy.address()
    configuration.nodePorts =
      try serviceNodePortRange.map { try portRange($0, "--service-node-port-range") } ?? file.nodePorts
    configuration.loadBalancerCIDRs =
      try loadBalancerCIDR.map { try anyBlocks($0, "--load-balancer-cidr") } ?? file.loadBalancerCIDRs ?? []
    configuration.audit = audit || file.audit == true
    configuration.fqdnGrace = fqdnGrace
    configuration.fqdnMinimumTTL = fqdnMinimumTTL
    configuration.devices = devices.isEmpty ? file.devices ?? [] : devices
    configuration.masquerades = masquerade ?? file.masquerades ?? true
    configuration.nativeCIDRs = try nativeCIDR.map { try anyBlocks($0, "--native-cidr") } ?? file.nativeCIDRs ?? []
    configuration.natPorts = try natPortRange.map { try portRange($0, "--nat-port-range") } ?? file.natPorts
    configuration.loadBalancerMode = loadBalancerMode ?? file.loadBalancerMode
    configuration.acceleration = loadBalancerAcceleration ?? file.acceleration
    configuration.maglevSize = try maglevTableSize.map(maglevSize) ?? file.maglevSize
    if try tracing.settings(endpoint: file.otlpEndpoint, sampling: file.traceSampling) != nil {
      configuration.otlpEndpoint = tracing.otlpEndpoint ?? file.otlpEndpoint
      configuration.traceSampling = tracing.traceSampling ?? file.traceSampling
    }
    configuration.mapSizes = file.mapSizes ?? configuration.mapSizes
    return configuration
  }

  private func listenAddress(_ text: String) throws -> ListenAddress {
    guard let address = ListenAddress(text) else {
      throw ValidationError("--api-address: \"\(text)\" is not ADDRESS:PORT")
    }
    return address
  }
}

/// Reads `IPv4,IPv6`.
func blocks(_ text: String, _ option: String) throws -> [CIDR] {
  guard let blocks = HostSettings.blocks(text.split(separator: ",")) else {
    throw ValidationError("\(option): one IPv4 and one IPv6 block are needed, as in 10.244.0.0/16,fd00:10:244::/64")
  }
  return blocks
}

/// Reads blocks separated by commas.
func anyBlocks(_ text: String, _ option: String) throws -> [CIDR] {
  guard let blocks = HostSettings.anyBlocks(text.split(separator: ",")) else {
    throw ValidationError("\(option): blocks are needed, as in 192.0.2.0/24,2001:db8::/64")
  }
  return blocks
}

/// Reads `FIRST-LAST`.
func portRange(_ text: String, _ option: String) throws -> ClosedRange<UInt16> {
  guard let range = HostSettings.portRange(text) else {
    throw ValidationError("\(option): \"\(text)\" is not FIRST-LAST, as in 30000-32767")
  }
  return range
}

/// One of the sizes that Maglev's tables can have.
func maglevSize(_ size: Int) throws -> Int {
  guard MaglevTable.sizes.contains(size) else {
    throw ValidationError("--maglev-table-size: \(size) is none of \(MaglevTable.sizes)")
  }
  return size
}

extension Acceleration: ExpressibleByArgument {}
extension LoadBalancerMode: ExpressibleByArgument {}

/// This host's name in the form of a Node's.
func hostName() throws -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  guard gethostname(&buffer, buffer.count) == 0 else { throw ValidationError("give --node-name: the host has no name") }
  return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).lowercased()
}
