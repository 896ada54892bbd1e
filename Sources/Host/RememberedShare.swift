import Addressing
import Files
import JSON

/// What an instance chose by itself of its network namespace, kept below the state directory: the next run has the same if it can,
/// as Services and pods that are left have these addresses and people know the port.
struct RememberedShare: Hashable, Sendable {
  /// nil where it was told what to take.
  var podCIDRs: [CIDR]?
  var serviceCIDRs: [CIDR]?
  var apiPort: UInt16?
  var agentMetricsPort: UInt16?
  var proxyMetricsPort: UInt16?

  init() {}

  init(_ share: NamespaceShare, of configuration: HostConfiguration) {
    podCIDRs = configuration.podCIDRs == nil ? share.podCIDRs : nil
    serviceCIDRs = configuration.serviceCIDRs == nil ? share.serviceCIDRs : nil
    apiPort = configuration.apiAddress == nil ? share.api.port : nil
    agentMetricsPort = configuration.agentMetrics == nil ? share.agentMetrics.port : nil
    proxyMetricsPort = configuration.proxyMetrics == nil ? share.proxyMetrics.port : nil
  }

  /// Nothing where there is no such file, or none that can be read.
  init(of directory: StateDirectory) {
    guard let text = try? StateFiles.read(directory.chosen), let document = try? JSONValue(parsing: text) else {
      return
    }
    func blocks(_ name: String) -> [CIDR]? {
      document[name]?.arrayValue.flatMap { HostSettings.blocks($0.compactMap(\.stringValue)) }
    }
    func port(_ name: String) -> UInt16? {
      document[name]?.integerValue.flatMap { UInt16(exactly: $0) }.flatMap { $0 == 0 ? nil : $0 }
    }
    podCIDRs = blocks("podCIDR")
    serviceCIDRs = blocks("serviceCIDR")
    apiPort = port("apiPort")
    agentMetricsPort = port("agentMetricsPort")
    proxyMetricsPort = port("proxyMetricsPort")
  }

  func save(in directory: StateDirectory) throws(FileError) {
    var document: [String: JSONValue] = [:]
    document["podCIDR"] = podCIDRs.map { .array($0.map { .string($0.description) }) }
    document["serviceCIDR"] = serviceCIDRs.map { .array($0.map { .string($0.description) }) }
    document["apiPort"] = apiPort.map { .integer(Int64($0)) }
    document["agentMetricsPort"] = agentMetricsPort.map { .integer(Int64($0)) }
    document["proxyMetricsPort"] = proxyMetricsPort.map { .integer(Int64($0)) }
    try StateFiles.write(JSONValue.object(document).serialized(), to: directory.chosen)
  }
}

extension StateDirectory {
  /// Where what the instance chose is kept.
  var chosen: String { path + "/chosen.json" }
}
