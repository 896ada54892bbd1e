import Addressing
import CLinux
import Glibc

/// RT_SCOPE_… of linux/rtnetlink.h.
public struct RouteScope: RawRepresentable, Sendable, Hashable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let universe = RouteScope(rawValue: 0)
  public static let link = RouteScope(rawValue: 253)
  public static let host = RouteScope(rawValue: 254)
}

/// RTN_… of linux/rtnetlink.h.
public struct RouteType: RawRepresentable, Sendable, Hashable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let unicast = RouteType(rawValue: 1)
  public static let local = RouteType(rawValue: 2)
  public static let broadcast = RouteType(rawValue: 3)
  public static let anycast = RouteType(rawValue: 4)
  public static let multicast = RouteType(rawValue: 5)
  public static let blackhole = RouteType(rawValue: 6)
  public static let unreachable = RouteType(rawValue: 7)
  public static let prohibit = RouteType(rawValue: 8)
}

/// Routing tables by number: RT_TABLE_… of linux/rtnetlink.h, or any other.
public struct RouteTable: RawRepresentable, Sendable, Hashable, ExpressibleByIntegerLiteral {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(integerLiteral value: UInt32) { rawValue = value }

  public static let main: RouteTable = 254
  public static let local: RouteTable = 255
}

/// A route with one next hop.
public struct Route: Sendable, Hashable {
  /// 0.0.0.0/0 or ::/0 is the default route of its family.
  public var destination: CIDR
  public var type: RouteType
  public var table: RouteTable
  public var gateway: IPAddress?
  /// Believe that the gateway is on the device's link, although no route says so (RTNH_F_ONLINK).
  public var isOnLink: Bool
  public var interfaceIndex: UInt32?
  /// nil: as fits the type (universe with a gateway, link without, host for local). IPv6 has none.
  public var scope: RouteScope?
  /// The source address for the host's own traffic.
  public var preferredSource: IPAddress?
  /// Of the path, in bytes.
  public var mtu: UInt32?
  /// The metric; lower wins.
  public var priority: UInt32?
  /// Who made it, RTPROT_…; 4 is static.
  public var origin: UInt8

  public init(
    _ destination: CIDR, type: RouteType = .unicast, table: RouteTable = .main, gateway: IPAddress? = nil,
    isOnLink: Bool = false, interfaceIndex: UInt32? = nil, scope: RouteScope? = nil,
    preferredSource: IPAddress? = nil, mtu: UInt32? = nil, priority: UInt32? = nil, origin: UInt8 = 4
  ) {
    self.destination = destination
    self.type = type
    self.table = table
    self.gateway = gateway
    self.isOnLink = isOnLink
    self.interfaceIndex = interfaceIndex
    self.scope = scope
    self.preferredSource = preferredSource
    self.mtu = mtu
    self.priority = priority
    self.origin = origin
  }

  init?(_ message: NetlinkMessage) {
    guard message.type == RTM_NEWROUTE, let header = message.header(rtmsg.self) else { return nil }
    let attributes = Attributes(of: message, after: rtmsg.self)
    let isIPv4 = header.rtm_family == UInt8(AF_INET)
    guard isIPv4 || header.rtm_family == UInt8(AF_INET6) else { return nil }
    let address = attributes.address(Int(RTA_DST.rawValue)) ?? (isIPv4 ? IPAddress(v4: 0) : IPAddress(high: 0, low: 0))
    guard let destination = CIDR(address, length: Int(header.rtm_dst_len)) else { return nil }
    self.destination = destination
    type = RouteType(rawValue: header.rtm_type)
    table = RouteTable(rawValue: attributes.number(Int(RTA_TABLE.rawValue)) ?? UInt32(header.rtm_table))
    gateway = attributes.address(Int(RTA_GATEWAY.rawValue))
    isOnLink = header.rtm_flags & UInt32(RTNH_F_ONLINK) != 0
    interfaceIndex = attributes.number(Int(RTA_OIF.rawValue))
    scope = RouteScope(rawValue: header.rtm_scope)
    preferredSource = attributes.address(Int(RTA_PREFSRC.rawValue))
    mtu = attributes.nested(Int(RTA_METRICS.rawValue))?.number(RTAX_MTU)
    priority = attributes.number(Int(RTA_PRIORITY.rawValue))
    origin = header.rtm_protocol
  }

  /// What RT_SCOPE the kernel expects when the caller does not say.
  var effectiveScope: RouteScope {
    if let scope { return scope }
    // IPv6 ignores it.
    guard destination.isIPv4 else { return .universe }
    switch type {
    case .local: return .host
    case .unicast: return gateway == nil ? .link : .universe
    default: return .universe
    }
  }
}

extension NetlinkHandle {
  /// The routes of a table or of all, of both families; cached ones (learnt path MTUs) are not among them.
  public func routes(table: RouteTable? = nil) throws(NetlinkError) -> [Route] {
    var found: [Route] = []
    for family in [AF_INET, AF_INET6] {
      var header = rtmsg()
      header.rtm_family = UInt8(family)
      var request = NetlinkRequest("RTM_GETROUTE", RTM_GETROUTE, flags: NLM_F_DUMP, header: header)
      if let table { request.payload.add(Int(RTA_TABLE.rawValue), number: table.rawValue) }
      do throws(NetlinkError) {
        found += try dump(request).filter { !$0.isCachedRoute }.compactMap { Route($0) }
      } catch  where error.errno == ENOENT {
        // A table that has never had a route does not exist.
      }
    }
    return found.filter { table == nil || $0.table == table }
  }

  /// Adds a route. EEXIST when there is one with the same destination, table and priority.
  public func addRoute(_ route: Route) throws(NetlinkError) {
    try perform(request("RTM_NEWROUTE", RTM_NEWROUTE, route, flags: NLM_F_CREATE | NLM_F_EXCL))
  }

  /// Adds a route or puts it in place of the one with the same destination, table and priority.
  public func replaceRoute(_ route: Route) throws(NetlinkError) {
    try perform(request("RTM_NEWROUTE", RTM_NEWROUTE, route, flags: NLM_F_CREATE | NLM_F_REPLACE))
  }

  /// Removes the route that agrees in all that is given; false when there is none.
  @discardableResult
  public func deleteRoute(_ route: Route) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      try perform(request("RTM_DELROUTE", RTM_DELROUTE, route, flags: 0))
      return true
    } catch  where error.isAbsent {
      return false
    }
  }

  private func request(_ name: String, _ type: Int, _ route: Route, flags: Int32) -> NetlinkRequest {
    var header = rtmsg()
    header.rtm_family = UInt8(route.destination.isIPv4 ? AF_INET : AF_INET6)
    header.rtm_dst_len = UInt8(route.destination.length)
    header.rtm_table = UInt8(exactly: route.table.rawValue) ?? 0
    header.rtm_protocol = route.origin
    header.rtm_scope = route.effectiveScope.rawValue
    header.rtm_type = route.type.rawValue
    header.rtm_flags = route.isOnLink ? UInt32(RTNH_F_ONLINK) : 0
    var request = NetlinkRequest(
      "\(name) \(route.destination) table \(route.table.rawValue)", type, flags: NLM_F_ACK | flags, header: header)
    if route.destination.length > 0 { request.payload.add(Int(RTA_DST.rawValue), address: route.destination.address) }
    request.payload.add(Int(RTA_TABLE.rawValue), number: route.table.rawValue)
    if let gateway = route.gateway { request.payload.add(Int(RTA_GATEWAY.rawValue), address: gateway) }
    if let index = route.interfaceIndex { request.payload.add(Int(RTA_OIF.rawValue), number: index) }
    if let source = route.preferredSource { request.payload.add(Int(RTA_PREFSRC.rawValue), address: source) }
    if let priority = route.priority { request.payload.add(Int(RTA_PRIORITY.rawValue), number: priority) }
    if let mtu = route.mtu {
      var metrics = AttributeWriter()
      metrics.add(RTAX_MTU, number: mtu)
      request.payload.add(Int(RTA_METRICS.rawValue), nested: metrics)
    }
    return request
  }
}

extension NetlinkMessage {
  fileprivate var isCachedRoute: Bool { (header(rtmsg.self)?.rtm_flags ?? 0) & UInt32(RTM_F_CLONED) != 0 }
}
