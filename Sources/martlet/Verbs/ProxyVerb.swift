import ArgumentParser
import Datapath
import Host
import KernelABI
import NodeMetrics
import Proxy

struct ProxyVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "proxy", abstract: "Run this node's HTTP proxy, or put a new one in its place.",
    discussion: "Example: martlet proxy restart --state-dir /tmp/mesh",
    subcommands: [ProxyRun.self, ProxyRestart.self], defaultSubcommand: ProxyRun.self)
}

struct ProxyRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run this node's proxy (started by `martlet up`).",
    discussion: """
      Beside a proxy that runs already it takes over that one's listening sockets and connections.

      Example: martlet proxy run --state-dir /tmp/mesh
      """)

  @OptionGroup var instance: InstanceOptions

  @Option(help: "Where Prometheus finds this proxy: ADDRESS:PORT (default: $MARTLET_PROXY_METRICS or 127.0.0.1:9964).")
  var metricsAddress: String?

  @Option(
    help:
      "How long a proxy whose place this one takes may go on with connections that do not come to rest: 30s, 10m (default: 10m).",
    transform: parseDuration)
  var predecessorDrain = ProxyService.usualDrain

  @OptionGroup var tracing: TracingOptions

  func run() async throws {
    let directory = instance.directory
    let tracing = try tracing.settings()
    let logger = startLogging("proxy")
    do {
      try directory.create()
      let pins = DatapathPins(root: directory.pins)
      let service = ProxyService(
        files: directory.proxy, pins: pins.maps, programs: pins.programs,
        mark: ProxyMark(instance: directory.instance),
        tracing: tracing, metricsAddress: try MetricsOption.proxy.address(metricsAddress),
        predecessorDrain: predecessorDrain, logger: logger)
      try await runUntilSignalled { try await service.run() }
    } catch {
      complain("proxy: \(error)")
      throw Exit.no
    }
  }
}

struct ProxyRestart: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart", abstract: "Put a new proxy in the place of the running one, without a failed request.",
    discussion: """
      `martlet up` starts it from its executable file as it is now, so that an upgrade needs no more than a new file. Listening \
      sockets and connections between two requests go to the new proxy; what is under way ends in the old one, which then \
      ends itself. A new proxy that can not serve changes nothing.

      Example: martlet proxy restart --drain 1h
      """)

  @OptionGroup var instance: InstanceOptions

  @Option(
    help: "How long the old proxy may go on with tunnels, streams and long answers: 30s, 10m, 1h (default: 10m).",
    transform: parseDuration)
  var drain = ProxyService.usualDrain

  func run() throws {
    do {
      let (old, new) = try HostClient(instance.directory).restartProxy(drain: drain)
      print("the proxy is pid \(new) now; pid \(old) ends when nothing is left there")
    } catch {
      complain("\(error)")
      throw Exit.no
    }
  }
}
