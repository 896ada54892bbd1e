import Addressing
import CNI
import KubernetesAPI
import Netlink
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The pods' interfaces of this node. Setting one up takes the kernel some milliseconds, so it runs on a thread of its own.
struct PodInterfaces: Sendable {
  private let host: NetlinkHandle

  init() throws(NetlinkError) { host = try NetlinkHandle() }

  /// The index of an attachment's device; nil when it is gone.
  func index(of attachment: PodAttachment) throws(NetlinkError) -> UInt32? {
    try host.interface(named: attachment.hostInterface)?.index
  }

  /// Makes and configures the device pair. Returns the record of it and the index of the host's end.
  func create(
    _ invocation: CNIInvocation, uid: String, addresses: [IPAddress], mtu: Int,
    attach: @escaping @Sendable (String, UInt32) throws -> Void
  ) async throws -> (PodAttachment, UInt32) {
    var generator = SystemRandomNumberGenerator()
    let attachment = PodAttachment(
      key: invocation.key, podNamespace: invocation.podNamespace, podName: invocation.podName, podUID: uid,
      netns: invocation.netns, hostInterface: PodInterface.hostName(for: invocation.key),
      hostMAC: MACAddress(random: generator.next()), podMAC: MACAddress(random: generator.next()), mtu: mtu,
      addresses: addresses, createdAt: Int64(time(nil)))
    let interface = PodInterface(attachment, host: host)
    let result = await DetachedThread.run { () -> Result<UInt32, PodInterfaceError> in
      Result { () throws(PodInterfaceError) in try interface.add { try attach(attachment.hostInterface, $0) } }
    }
    do { return (attachment, try result.get()) } catch { throw error.cniError }
  }

  func check(_ attachment: PodAttachment, expecting expected: AttachmentResult?) async throws {
    let interface = PodInterface(attachment, host: host)
    let result = await DetachedThread.run { () -> Result<Void, PodInterfaceError> in
      Result { () throws(PodInterfaceError) in try interface.check(expecting: expected) }
    }
    do { try result.get() } catch { throw error.cniError }
  }

  func remove(_ hostInterface: String) { _ = try? PodInterface.remove(hostInterface, host: host) }
}
