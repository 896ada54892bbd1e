import CLinux
import Glibc

/// A queueing discipline (tc(8)) of a device.
public struct QueueingDiscipline: Sendable, Hashable {
  public let interfaceIndex: UInt32
  /// Such as `noqueue`, `fq_codel` or `clsact`.
  public let kind: String
  public let handle: UInt32
  public let parent: UInt32

  init?(_ message: NetlinkMessage) {
    guard message.type == RTM_NEWQDISC, let header = message.header(tcmsg.self) else { return nil }
    interfaceIndex = UInt32(bitPattern: header.tcm_ifindex)
    kind = Attributes(of: message, after: tcmsg.self).string(TCA_KIND) ?? ""
    handle = header.tcm_handle
    parent = header.tcm_parent
  }
}

extension NetlinkHandle {
  /// The disciplines of all devices or of one.
  public func queueingDisciplines(interfaceIndex: UInt32? = nil) throws(NetlinkError) -> [QueueingDiscipline] {
    let request = NetlinkRequest("RTM_GETQDISC", RTM_GETQDISC, flags: NLM_F_DUMP, header: tcmsg())
    return try dump(request).compactMap { QueueingDiscipline($0) }
      .filter { interfaceIndex == nil || $0.interfaceIndex == interfaceIndex }
  }

  /// Gives a device the place where tc filters attach. EEXIST when it has one (or an ingress qdisc).
  public func addClsact(interfaceIndex: UInt32) throws(NetlinkError) {
    try perform(clsact("RTM_NEWQDISC", RTM_NEWQDISC, interfaceIndex, flags: NLM_F_CREATE | NLM_F_EXCL))
  }

  /// Removes it with all filters below; false when there is none.
  @discardableResult
  public func deleteClsact(interfaceIndex: UInt32) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      try perform(clsact("RTM_DELQDISC", RTM_DELQDISC, interfaceIndex, flags: 0))
      return true
    } catch  where error.isAbsent || error.errno == EINVAL {
      // "Cannot find specified qdisc on specified device" and "Invalid handle" both come as EINVAL on some kernels.
      return false
    }
  }

  private func clsact(_ name: String, _ type: Int, _ index: UInt32, flags: Int32) -> NetlinkRequest {
    var header = tcmsg()
    header.tcm_ifindex = Int32(bitPattern: index)
    header.tcm_parent = 0xFFFF_FFF1  // TC_H_CLSACT
    header.tcm_handle = 0xFFFF_0000  // TC_H_MAKE(TC_H_CLSACT, 0)
    var request = NetlinkRequest("\(name) clsact on \(index)", type, flags: NLM_F_ACK | flags, header: header)
    request.payload.add(TCA_KIND, string: "clsact")
    return request
  }
}
