import Addressing
import CLinux
import Glibc

/// IFA_F_… of linux/if_addr.h.
public struct AddressFlags: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// IPv6: usable at once, without duplicate address detection.
  public static let noDAD = AddressFlags(rawValue: UInt32(IFA_F_NODAD))
  public static let permanent = AddressFlags(rawValue: UInt32(IFA_F_PERMANENT))
  /// IPv4: in the block of another address of the device, which goes before it; IPv6: a temporary address (RFC 8981).
  public static let secondary = AddressFlags(rawValue: UInt32(IFA_F_SECONDARY))
  /// Not for new connections (RFC 4862, 5.5.4).
  public static let deprecated = AddressFlags(rawValue: UInt32(IFA_F_DEPRECATED))
  public static let tentative = AddressFlags(rawValue: UInt32(IFA_F_TENTATIVE))
  public static let dadFailed = AddressFlags(rawValue: UInt32(IFA_F_DADFAILED))
  /// No route to the address's block is made.
  public static let noPrefixRoute = AddressFlags(rawValue: UInt32(IFA_F_NOPREFIXROUTE))
}

/// An address of a device.
public struct InterfaceAddress: Sendable, Hashable {
  public var interfaceIndex: UInt32
  public var address: IPAddress
  /// Within the address's own family: 0-32 or 0-128.
  public var prefixLength: Int
  public var flags: AddressFlags
  public var scope: RouteScope

  public init(
    interfaceIndex: UInt32, address: IPAddress, prefixLength: Int? = nil, flags: AddressFlags = [],
    scope: RouteScope = .universe
  ) {
    self.interfaceIndex = interfaceIndex
    self.address = address
    self.prefixLength = prefixLength ?? address.width
    self.flags = flags
    self.scope = scope
  }

  init?(_ message: NetlinkMessage) {
    guard message.type == RTM_NEWADDR, let header = message.header(ifaddrmsg.self) else { return nil }
    let attributes = Attributes(of: message, after: ifaddrmsg.self)
    // On a point-to-point link IFA_ADDRESS is the other end's.
    guard let address = attributes.address(IFA_LOCAL) ?? attributes.address(IFA_ADDRESS) else { return nil }
    self.address = address
    interfaceIndex = header.ifa_index
    prefixLength = Int(header.ifa_prefixlen)
    flags = AddressFlags(rawValue: attributes.number(IFA_FLAGS) ?? UInt32(header.ifa_flags))
    scope = RouteScope(rawValue: header.ifa_scope)
  }
}

extension NetlinkHandle {
  /// The addresses of all devices or of one.
  public func addresses(interfaceIndex: UInt32? = nil) throws(NetlinkError) -> [InterfaceAddress] {
    var header = ifaddrmsg()
    header.ifa_index = interfaceIndex ?? 0
    let found = try dump(NetlinkRequest("RTM_GETADDR", RTM_GETADDR, flags: NLM_F_DUMP, header: header))
    return found.compactMap { InterfaceAddress($0) }
      .filter { interfaceIndex == nil || $0.interfaceIndex == interfaceIndex }
  }

  /// Gives a device an address. EEXIST when it has it.
  public func addAddress(_ address: InterfaceAddress) throws(NetlinkError) {
    try perform(request("RTM_NEWADDR", RTM_NEWADDR, address, flags: NLM_F_CREATE | NLM_F_EXCL))
  }

  /// Gives a device an address, or changes the flags of one that it has.
  public func replaceAddress(_ address: InterfaceAddress) throws(NetlinkError) {
    try perform(request("RTM_NEWADDR", RTM_NEWADDR, address, flags: NLM_F_CREATE | NLM_F_REPLACE))
  }

  /// Takes an address away; false when the device does not have it.
  @discardableResult
  public func deleteAddress(_ address: InterfaceAddress) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      try perform(request("RTM_DELADDR", RTM_DELADDR, address, flags: 0))
      return true
    } catch  where error.isAbsent {
      return false
    }
  }

  private func request(_ name: String, _ type: Int, _ address: InterfaceAddress, flags: Int32) -> NetlinkRequest {
    var header = ifaddrmsg()
    header.ifa_family = address.address.family
    header.ifa_prefixlen = UInt8(clamping: address.prefixLength)
    header.ifa_scope = address.scope.rawValue
    header.ifa_index = address.interfaceIndex
    var request = NetlinkRequest(
      "\(name) \(address.address)/\(address.prefixLength) on \(address.interfaceIndex)", type,
      flags: NLM_F_ACK | flags, header: header)
    request.payload.add(IFA_LOCAL, address: address.address)
    request.payload.add(IFA_ADDRESS, address: address.address)
    if !address.flags.isEmpty { request.payload.add(IFA_FLAGS, number: address.flags.rawValue) }
    return request
  }
}

extension IPAddress {
  /// AF_INET or AF_INET6.
  var family: UInt8 { UInt8(isIPv4 ? AF_INET : AF_INET6) }
  /// Bits of an address of this family.
  var width: Int { isIPv4 ? 32 : 128 }
}
