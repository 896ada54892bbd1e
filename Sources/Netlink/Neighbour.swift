import Addressing
import CLinux
import Glibc

/// An entry of the neighbour tables (ARP, ND).
public struct Neighbour: Sendable, Hashable {
  public var interfaceIndex: UInt32
  public var address: IPAddress
  public var mac: MACAddress?
  /// NUD_… of linux/neighbour.h.
  public var state: UInt16

  /// A permanent entry.
  public init(interfaceIndex: UInt32, address: IPAddress, mac: MACAddress) {
    self.interfaceIndex = interfaceIndex
    self.address = address
    self.mac = mac
    state = UInt16(NUD_PERMANENT)
  }

  public var isPermanent: Bool { state & UInt16(NUD_PERMANENT) != 0 }

  init?(_ message: NetlinkMessage) {
    guard message.type == RTM_NEWNEIGH, let header = message.header(ndmsg.self) else { return nil }
    let attributes = Attributes(of: message, after: ndmsg.self)
    guard let address = attributes.address(NDA_DST) else { return nil }
    self.address = address
    interfaceIndex = UInt32(bitPattern: header.ndm_ifindex)
    mac = attributes.mac(NDA_LLADDR)
    state = header.ndm_state
  }
}

extension NetlinkHandle {
  /// The neighbours on all devices or on one, of both families.
  public func neighbours(interfaceIndex: UInt32? = nil) throws(NetlinkError) -> [Neighbour] {
    let request = NetlinkRequest("RTM_GETNEIGH", RTM_GETNEIGH, flags: NLM_F_DUMP, header: ndmsg())
    return try dump(request).compactMap { Neighbour($0) }
      .filter { interfaceIndex == nil || $0.interfaceIndex == interfaceIndex }
  }

  /// Adds an entry or puts it in place of the one for the same address and device.
  public func replaceNeighbour(_ neighbour: Neighbour) throws(NetlinkError) {
    try perform(request("RTM_NEWNEIGH", RTM_NEWNEIGH, neighbour, flags: NLM_F_CREATE | NLM_F_REPLACE))
  }

  /// Removes an entry; false when there is none.
  @discardableResult
  public func deleteNeighbour(_ neighbour: Neighbour) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      try perform(request("RTM_DELNEIGH", RTM_DELNEIGH, neighbour, flags: 0))
      return true
    } catch  where error.isAbsent {
      return false
    }
  }

  private func request(_ name: String, _ type: Int, _ neighbour: Neighbour, flags: Int32) -> NetlinkRequest {
    var header = ndmsg()
    header.ndm_family = neighbour.address.family
    header.ndm_ifindex = Int32(bitPattern: neighbour.interfaceIndex)
    header.ndm_state = neighbour.state
    var request = NetlinkRequest(
      "\(name) \(neighbour.address) on \(neighbour.interfaceIndex)", type, flags: NLM_F_ACK | flags, header: header)
    request.payload.add(NDA_DST, address: neighbour.address)
    if let mac = neighbour.mac { request.payload.add(NDA_LLADDR, mac.bytes) }
    return request
  }
}
