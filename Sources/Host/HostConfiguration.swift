import Addressing
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
  /// The agent judges and reports, but drops nothing.
  public var audit: Bool

  public init(
    directory: StateDirectory, nodeName: String, apiAddress: String, apiPort: Int, podCIDRs: [CIDR],
    serviceCIDRs: [CIDR], keepsDatapath: Bool, audit: Bool = false
  ) {
    self.directory = directory
    self.nodeName = nodeName
    self.apiAddress = apiAddress
    self.apiPort = apiPort
    self.podCIDRs = podCIDRs
    self.serviceCIDRs = serviceCIDRs
    self.keepsDatapath = keepsDatapath
    self.audit = audit
  }
}

/// Why `martlet up` can not run here.
public struct HostError: Error, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
