import Addressing
import Datapath
import NodeAPI

/// What `martlet up` is told.
public struct HostConfiguration: Sendable {
  public var directory: StateDirectory
  public var nodeName: String
  public var apiAddress: String
  public var apiPort: Int
  /// One block of each family.
  public var podCIDRs: [CIDR]
  public var serviceCIDRs: [CIDR]
  /// Leaves links, pins and workloads' devices in place when `up` ends.
  public var keepsDatapath: Bool
  /// Judge and report, but drop nothing.
  public var audit = false
  /// Devices of the host; checked, and otherwise without effect as yet.
  public var devices: [String] = []
  public var mapSizes = MapSizes()

  public init(
    directory: StateDirectory, nodeName: String, apiAddress: String, apiPort: Int, podCIDRs: [CIDR],
    serviceCIDRs: [CIDR], keepsDatapath: Bool
  ) {
    self.directory = directory
    self.nodeName = nodeName
    self.apiAddress = apiAddress
    self.apiPort = apiPort
    self.podCIDRs = podCIDRs
    self.serviceCIDRs = serviceCIDRs
    self.keepsDatapath = keepsDatapath
  }
}

/// Why `martlet up` can not run here.
public struct HostError: Error, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
