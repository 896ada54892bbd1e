import Addressing
import CLinux
import Glibc

/// A network device ("link") as the kernel describes it.
public struct NetworkInterface: Sendable, Hashable {
  public let index: UInt32
  public let name: String
  /// nil for devices without Ethernet addresses.
  public let mac: MACAddress?
  /// ARPHRD_… of if_arp.h: 1 for Ethernet, 772 for loopback.
  public let hardwareType: UInt16
  /// In bytes.
  public let mtu: UInt32
  /// IFF_… of netdevice(7).
  public let flags: UInt32
  /// Such as `veth`, `vxlan` or `bridge`; nil for a physical device.
  public let kind: String?
  public let alias: String?
  /// For a veth: the index of its other end, in that one's namespace.
  public let peerIndex: UInt32?
  /// IFLA_LINK_NETNSID: set when the other end is in another namespace.
  public let peerNamespaceID: Int32?
  /// The bridge or bond that the device belongs to.
  public let masterIndex: UInt32?

  /// Set up by configuration.
  public var isUp: Bool { flags & UInt32(IFF_UP) != 0 }
  /// Up, and its carrier too.
  public var isRunning: Bool { flags & UInt32(IFF_RUNNING) != 0 }

  /// Whether it carries Ethernet frames between machines, as loopback does not.
  public var isEthernet: Bool { hardwareType == 1 }  // ARPHRD_ETHER

  init?(_ message: NetlinkMessage) {
    guard message.type == RTM_NEWLINK, let header = message.header(ifinfomsg.self) else { return nil }
    let attributes = Attributes(of: message, after: ifinfomsg.self)
    index = UInt32(bitPattern: header.ifi_index)
    flags = header.ifi_flags
    hardwareType = header.ifi_type
    name = attributes.string(IFLA_IFNAME) ?? ""
    mac = attributes.mac(IFLA_ADDRESS)
    mtu = attributes.number(IFLA_MTU) ?? 0
    kind = attributes.nested(IFLA_LINKINFO)?.string(IFLA_INFO_KIND)
    alias = attributes.string(IFLA_IFALIAS)
    peerIndex = attributes.number(IFLA_LINK)
    peerNamespaceID = attributes.number(IFLA_LINK_NETNSID)
    masterIndex = attributes.number(IFLA_MASTER)
  }
}

/// A pair of virtual Ethernet devices to make.
public struct VethSpecification: Sendable {
  /// The end in the handle's namespace.
  public var name: String
  public var mac: MACAddress?
  public var peerName: String
  public var peerMAC: MACAddress?
  /// Where the other end is made; nil: beside the first.
  public var peerNamespace: NetworkNamespace?
  /// Of both ends, in bytes; nil: 1500.
  public var mtu: UInt32?

  public init(
    name: String, mac: MACAddress? = nil, peerName: String, peerMAC: MACAddress? = nil,
    peerNamespace: NetworkNamespace? = nil, mtu: UInt32? = nil
  ) {
    self.name = name
    self.mac = mac
    self.peerName = peerName
    self.peerMAC = peerMAC
    self.peerNamespace = peerNamespace
    self.mtu = mtu
  }
}

extension NetlinkHandle {
  /// All devices of the namespace.
  public func interfaces() throws(NetlinkError) -> [NetworkInterface] {
    let request = NetlinkRequest("RTM_GETLINK", RTM_GETLINK, flags: NLM_F_DUMP, header: ifinfomsg())
    return try dump(request).compactMap { NetworkInterface($0) }
  }

  /// The device of this name, or nil.
  public func interface(named name: String) throws(NetlinkError) -> NetworkInterface? {
    var request = NetlinkRequest("RTM_GETLINK \(name)", RTM_GETLINK, header: ifinfomsg())
    request.payload.add(IFLA_IFNAME, string: name)
    return try get(request).flatMap { NetworkInterface($0) }
  }

  /// The device with this index, or nil.
  public func interface(index: UInt32) throws(NetlinkError) -> NetworkInterface? {
    try get(NetlinkRequest("RTM_GETLINK \(index)", RTM_GETLINK, header: header(index)))
      .flatMap { NetworkInterface($0) }
  }

  /// Makes a pair, both ends down. EEXIST when a name is taken.
  public func createVeth(_ specification: VethSpecification) throws(NetlinkError) {
    var request = NetlinkRequest(
      "RTM_NEWLINK \(specification.name)", RTM_NEWLINK, flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
      header: ifinfomsg())
    request.payload.addEnd(specification.name, specification.mac, specification.mtu)

    var peer = AttributeWriter(header: ifinfomsg())
    peer.addEnd(specification.peerName, specification.peerMAC, specification.mtu)
    if let namespace = specification.peerNamespace { peer.add(IFLA_NET_NS_FD, number: namespace.fileDescriptor) }

    var data = AttributeWriter()
    data.add(Int(VETH_INFO_PEER), nested: peer)
    var info = AttributeWriter()
    info.add(IFLA_INFO_KIND, string: "veth")
    info.add(IFLA_INFO_DATA, nested: data)
    request.payload.add(IFLA_LINKINFO, nested: info)
    try perform(request)
  }

  /// Removes a device; a veth takes its other end along. False when there is no such device.
  @discardableResult
  public func deleteInterface(index: UInt32) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      try perform(NetlinkRequest("RTM_DELLINK \(index)", RTM_DELLINK, header: header(index)))
      return true
    } catch  where error.isAbsent {
      return false
    }
  }

  /// Sets a device up or down.
  public func setInterface(index: UInt32, up: Bool) throws(NetlinkError) {
    var header = header(index)
    header.ifi_flags = up ? UInt32(IFF_UP) : 0
    header.ifi_change = UInt32(IFF_UP)
    try perform(NetlinkRequest("RTM_NEWLINK \(index) \(up ? "up" : "down")", RTM_NEWLINK, header: header))
  }

  /// Changes what is given. A device must be down to get another name on kernels before Linux 6.2.
  public func changeInterface(
    index: UInt32, name: String? = nil, mac: MACAddress? = nil, mtu: UInt32? = nil, alias: String? = nil
  ) throws(NetlinkError) {
    var request = NetlinkRequest("RTM_NEWLINK \(index)", RTM_NEWLINK, header: header(index))
    if let name { request.payload.add(IFLA_IFNAME, string: name) }
    if let mac { request.payload.add(IFLA_ADDRESS, mac.bytes) }
    if let mtu { request.payload.add(IFLA_MTU, number: mtu) }
    // Counted, not terminated: IFLA_IFALIAS keeps a NUL as part of the text.
    if let alias { request.payload.add(IFLA_IFALIAS, Array(alias.utf8)) }
    try perform(request)
  }

  /// Moves a device to another namespace, where it arrives down and without addresses.
  public func moveInterface(
    index: UInt32, to namespace: NetworkNamespace, name: String? = nil
  ) throws(NetlinkError) {
    var request = NetlinkRequest("RTM_NEWLINK \(index) to another namespace", RTM_NEWLINK, header: header(index))
    request.payload.add(IFLA_NET_NS_FD, number: namespace.fileDescriptor)
    if let name { request.payload.add(IFLA_IFNAME, string: name) }
    try perform(request)
  }

  private func header(_ index: UInt32) -> ifinfomsg {
    var header = ifinfomsg()
    header.ifi_index = Int32(bitPattern: index)
    return header
  }
}

extension AttributeWriter {
  /// What both ends of a pair have.
  fileprivate mutating func addEnd(_ name: String, _ mac: MACAddress?, _ mtu: UInt32?) {
    add(IFLA_IFNAME, string: name)
    if let mac { add(IFLA_ADDRESS, mac.bytes) }
    if let mtu { add(IFLA_MTU, number: mtu) }
  }
}
