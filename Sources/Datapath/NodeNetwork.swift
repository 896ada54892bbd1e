import Addressing
import CMartletABI
import Files
import Netlink

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What a node's own stack needs so that pods reach it and the proxy gets its packets: a pair of devices that carries the
/// node's address in each pod block, and the routes that deliver marked packets locally.
///
/// The devices are the instance's own. The routes and the rules that lead to them are the same for all instances of a network
/// namespace, and whoever finds none makes them.
public struct NodeNetwork: Sendable {
  /// The device that holds the node's pod-side addresses, and its peer. Pods' devices have a hexadecimal digit after `mlt`.
  let device: String
  let peer: String
  /// Routing table of the packets for the proxy.
  static let proxyTable: RouteTable = 2005
  static let rulePriority: UInt32 = 9

  let netlink: NetlinkHandle

  /// - Parameter instance: the number of the instance, eight hexadecimal digits.
  public init(instance: String) throws(NetlinkError) {
    device = "mlth" + instance
    peer = "mltn" + instance
    netlink = try NetlinkHandle()
  }

  /// Makes all of it, or leaves what is right already.
  ///
  /// - Parameter addresses: the node's address in each pod block.
  public func ensure(addresses: [IPAddress], forwarding: Bool) throws {
    try repair(addresses: addresses)
    if forwarding {
      try NodeNetwork.setSysctl("net/ipv4/ip_forward", "1")
      try NodeNetwork.setSysctl("net/ipv6/conf/all/forwarding", "1")
    }
    // A packet that is handed back for the proxy must find the socket by its mark, not by an early guess.
    try NodeNetwork.setSysctl("net/ipv4/tcp_early_demux", "0")
    try NodeNetwork.setSysctl("net/ipv4/udp_early_demux", "0")
  }

  /// A part of it that was not there, as people say it.
  public enum Part: Hashable, Sendable {
    case device(String)
    case rule(String)
    case route(String)
  }

  /// Makes what is missing of devices, addresses, rules and routes; returns what that was.
  @discardableResult
  public func repair(addresses: [IPAddress]) throws -> [Part] {
    var made: [Part] = []
    if try netlink.interface(named: device) == nil {
      try netlink.createVeth(VethSpecification(name: device, peerName: peer))
      made.append(.device("device \(device)"))
    }
    for name in [device, peer] {
      guard let interface = try netlink.interface(named: name) else { continue }
      if !interface.isUp {
        try netlink.setInterface(index: interface.index, up: true)
        made.append(.device("device \(name) up"))
      }
      if name == device {
        let present = Set(try netlink.addresses(interfaceIndex: interface.index).map(\.address))
        for address in addresses where !present.contains(address) {
          made.append(.device("address \(address) of \(name)"))
          try netlink.replaceAddress(
            InterfaceAddress(
              interfaceIndex: interface.index, address: address, prefixLength: address.isIPv4 ? 32 : 128, flags: .noDAD)
          )
        }
      }
    }
    return made + (try repairProxyRoutes())
  }

  private func repairProxyRoutes() throws -> [Part] {
    var made: [Part] = []
    guard let loopback = try netlink.interface(named: "lo") else { return made }
    let table = NodeNetwork.proxyTable
    let present = try netlink.rules()
    for family in RoutingRule.Family.allCases {
      let rule = RoutingRule(
        family, table: NodeNetwork.proxyTable, priority: NodeNetwork.rulePriority,
        mark: UInt32(MARTLET_MARK_TO_PROXY), markMask: UInt32(MARTLET_MARK_MASK))
      let isThere = present.contains {
        $0.family == rule.family && $0.table == rule.table && $0.mark == rule.mark && $0.markMask == rule.markMask
      }
      guard !isThere else { continue }
      if try add(rule) { made.append(.rule("\(family) rule of the packets for the proxy (lookup \(table.rawValue))")) }
    }
    let routes = try netlink.routes(table: table)
    for everything in [CIDR(IPAddress(v4: 0), length: 0), CIDR(IPAddress(high: 0, low: 0), length: 0)] {
      guard let everything, !routes.contains(where: { $0.destination == everything && $0.type == .local }) else {
        continue
      }
      try netlink.replaceRoute(
        Route(
          everything, type: .local, table: NodeNetwork.proxyTable, interfaceIndex: loopback.index, scope: .host))
      made.append(.route("route \(everything) of table \(table.rawValue)"))
    }
    return made
  }

  /// False when another instance's agent was quicker.
  private func add(_ rule: RoutingRule) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) { try netlink.addRule(rule) } catch {
      if error.isAlreadyThere { return false }
      throw error
    }
    return true
  }

  /// Removes what `ensure` made; sysctls stay as they are.
  ///
  /// - Parameter sharedToo: also what other instances of the namespace need, if there are any.
  public func remove(sharedToo: Bool) throws {
    if let interface = try netlink.interface(named: device) {
      try netlink.deleteInterface(index: interface.index)
    }
    guard sharedToo else { return }
    for rule in try netlink.rules() where rule.table == NodeNetwork.proxyTable { try netlink.deleteRule(rule) }
    for route in try netlink.routes(table: NodeNetwork.proxyTable) { try netlink.deleteRoute(route) }
  }

  /// The node's addresses, which have the identity `host`: all but those of loopback and of links.
  public func nodeAddresses() throws -> [IPAddress] {
    try netlink.addresses().map(\.address).filter { !$0.isLoopback && !($0.isIPv6 && $0.isLinkLocal) }
  }

  private static func setSysctl(_ name: String, _ value: String) throws(FileError) {
    try StateFiles.put(value, into: "/proc/sys/" + name)
  }
}
