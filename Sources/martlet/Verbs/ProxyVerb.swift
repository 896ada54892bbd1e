import ArgumentParser
import Datapath
import KernelABI
import NodeMetrics
import Proxy

struct ProxyVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "proxy", abstract: "Run this node's HTTP proxy (started by `martlet up`).",
    discussion: "Example: martlet proxy --state-dir /tmp/mesh")

  @OptionGroup var instance: InstanceOptions

  @Option(help: "Where Prometheus finds this proxy: ADDRESS:PORT (default: $MARTLET_PROXY_METRICS or 127.0.0.1:9964).")
  var metricsAddress: String?

  func run() async throws {
    let directory = instance.directory
    let logger = startLogging("proxy")
    do {
      try directory.create()
      let pins = DatapathPins(root: directory.pins)
      let service = ProxyService(
        files: directory.proxy, pins: pins.maps, programs: pins.programs,
        mark: ProxyMark(instance: directory.instance),
        metricsAddress: try MetricsOption.proxy.address(metricsAddress), logger: logger)
      try await runUntilSignalled { try await service.run() }
    } catch {
      complain("proxy: \(error)")
      throw Exit.no
    }
  }
}
