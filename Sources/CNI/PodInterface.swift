import Addressing
import Files
import Glibc
import Netlink

/// The device pair of a pod: one end in the pod's namespace under the name that CNI gave, the other on the host, with
/// addresses, routes and neighbours on both sides so that no packet ever asks who has an address.
///
/// The pod sees point-to-point addresses (/32 and /128) and a gateway of each family that is on its link by decree:
/// 169.254.1.1 and fe80::1. The host has a route to each of the pod's addresses through its end.
///
/// A handle on the host's namespace is not enough where sysctls are written: `add` must be called on a thread
/// that is in the node's namespace.
public struct PodInterface: Sendable {
  public let attachment: PodAttachment
  private let host: NetlinkHandle

  public init(_ attachment: PodAttachment, host: NetlinkHandle) {
    self.attachment = attachment
    self.host = host
  }

  /// `mlt` and eight hexadecimal digits of a hash of the key (FNV-1a): the same attachment always has the same name.
  public static func hostName(for key: CNIAttachmentKey) -> String {
    let hash = key.description.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    let digits = String(UInt32(truncatingIfNeeded: hash ^ hash >> 32), radix: 16)
    return "mlt" + String(repeating: "0", count: 8 - digits.count) + digits
  }

  /// Makes the pair, or finds it as it should be, and configures both ends. Returns the index of the host's end. After an error
  /// nothing is left of a pair that was made here.
  ///
  /// - Parameter attach: gets the index of the host's end before that is up, so that no packet of the pod comes before what
  ///   is attached here.
  public func add(attach: (UInt32) throws -> Void = { _ in }) throws(PodInterfaceError) -> UInt32 {
    let namespace = try openNamespace()
    do {
      if let index = try existing(namespace) {
        try attach(index)
        try configure(namespace, index)
        return index
      }
      try host.createVeth(
        VethSpecification(
          name: attachment.hostInterface, mac: attachment.hostMAC, peerName: attachment.key.interfaceName,
          peerMAC: attachment.podMAC, peerNamespace: namespace, mtu: UInt32(attachment.mtu)))
      guard let device = try host.interface(named: attachment.hostInterface) else {
        throw PodInterfaceError.missing(attachment.hostInterface)
      }
      do {
        try attach(device.index)
        try configure(namespace, device.index)
      } catch {
        _ = try? host.deleteInterface(index: device.index)
        throw error
      }
      return device.index
    } catch {
      throw PodInterfaceError(error)
    }
  }

  /// Removes the host's end, and with it the pod's, the routes and the neighbours. False when it was gone already.
  @discardableResult
  public static func remove(_ hostInterface: String, host: NetlinkHandle) throws(PodInterfaceError) -> Bool {
    do throws(NetlinkError) {
      guard let device = try host.interface(named: hostInterface) else { return false }
      return try host.deleteInterface(index: device.index)
    } catch {
      throw .netlink(error)
    }
  }

  /// What CHECK asks: both ends are up and have their addresses and routes, and what the runtime got from ADD is still so.
  /// Throws what is wrong.
  ///
  /// - Parameter expected: what the runtime was given, and may have let other plugins add to.
  public func check(expecting expected: AttachmentResult? = nil) throws(PodInterfaceError) {
    let namespace = try openNamespace()
    do {
      guard let index = try existing(namespace) else { throw PodInterfaceError.missing(attachment.hostInterface) }
      let pod = try NetlinkHandle(in: namespace)
      let name = attachment.key.interfaceName
      guard let device = try pod.interface(named: name) else { throw PodInterfaceError.missing(name) }
      guard device.isUp else { throw PodInterfaceError.wrong("\(name) is down in the pod") }
      guard let hostDevice = try host.interface(named: attachment.hostInterface), hostDevice.isUp else {
        throw PodInterfaceError.wrong("\(attachment.hostInterface) is down on the host")
      }
      let present = try pod.addresses(interfaceIndex: device.index)
      let addresses = present.map(\.address)
      let routes = try host.routes(table: .main).filter { $0.interfaceIndex == index }
      for address in attachment.addresses {
        guard addresses.contains(address) else { throw PodInterfaceError.wrong("\(name) lacks address \(address)") }
        guard routes.contains(where: { $0.destination == CIDR(address) }) else {
          throw PodInterfaceError.wrong("the host has no route to \(address) through \(attachment.hostInterface)")
        }
      }
      let podRoutes = try pod.routes(table: .main).filter { $0.interfaceIndex == device.index }
      for (index, interface) in (expected?.interfaces ?? []).enumerated() where interface.sandbox != nil {
        guard interface.name == name else { continue }
        if !interface.mac.isEmpty, interface.mac.lowercased() != device.mac?.description {
          throw PodInterfaceError.wrong("\(name) has not the MAC address \(interface.mac) of prevResult")
        }
        for address in expected?.addresses ?? [] where address.interface == index {
          let isThere = present.contains { $0.address == address.address && Int($0.prefixLength) == address.length }
          guard isThere else {
            throw PodInterfaceError.wrong("\(name) lacks address \(address.address)/\(address.length) of prevResult")
          }
        }
      }
      for route in expected?.routes ?? attachment.result.routes {
        let isThere = podRoutes.contains {
          $0.destination == route.destination && (route.gateway == nil || $0.gateway == route.gateway)
        }
        guard isThere else {
          let gateway = route.gateway.map { " via \($0)" } ?? ""
          throw PodInterfaceError.wrong("the pod has no route to \(route.destination)\(gateway) through \(name)")
        }
      }
    } catch {
      throw PodInterfaceError(error)
    }
  }

  private func openNamespace() throws(PodInterfaceError) -> NetworkNamespace {
    let namespace: NetworkNamespace
    do { namespace = try NetworkNamespace(path: attachment.netns) } catch {
      throw error.isAbsent ? .noNamespace(attachment.netns) : .netlink(error)
    }
    // A file that a namespace's mount has left, or any other: setns(2) would say no more than EINVAL.
    guard namespace.isNamespace else { throw .noNamespace(attachment.netns) }
    return namespace
  }

  /// The index of the host's end when the pair is the one that the attachment describes; a pair of the name that is not is
  /// removed.
  private func existing(_ namespace: NetworkNamespace) throws -> UInt32? {
    guard let device = try host.interface(named: attachment.hostInterface) else { return nil }
    let pod = try NetlinkHandle(in: namespace)
    if device.mac == attachment.hostMAC, let peer = try pod.interface(named: attachment.key.interfaceName),
      peer.mac == attachment.podMAC, device.peerIndex == peer.index
    {
      return device.index
    }
    try host.deleteInterface(index: device.index)
    return nil
  }
}

// Every request below may be repeated.
extension PodInterface {
  private func configure(_ namespace: NetworkNamespace, _ hostIndex: UInt32) throws {
    writeHostSettings()
    try host.setInterface(index: hostIndex, up: true)
    let name = attachment.key.interfaceName
    let socket = try namespace.run {
      // No duplicate address detection and no router solicitation: nobody else is on the link.
      for (setting, value) in [("disable_ipv6", "0"), ("accept_dad", "0"), ("accept_ra", "0")] {
        PodInterface.set("ipv6", name, setting, value)
      }
      return try NetlinkSocket()
    }
    let pod = NetlinkHandle(transport: socket)
    guard let device = try pod.interface(named: name) else { throw PodInterfaceError.missing(name) }
    try pod.setInterface(index: 1, up: true)
    try pod.setInterface(index: device.index, up: true)
    for address in attachment.addresses {
      try pod.replaceAddress(
        InterfaceAddress(
          interfaceIndex: device.index, address: address, flags: address.isIPv6 ? [.noDAD] : []))
      let gateway = address.isIPv4 ? PodGateway.v4 : PodGateway.v6
      try pod.replaceNeighbour(
        Neighbour(interfaceIndex: device.index, address: gateway, mac: attachment.hostMAC))
      try pod.replaceRoute(Route(CIDR(gateway), interfaceIndex: device.index, scope: .link))
      try pod.replaceRoute(
        Route(
          address.isIPv4 ? PodGateway.anyV4 : PodGateway.anyV6, gateway: gateway, isOnLink: true,
          interfaceIndex: device.index))
      try host.replaceRoute(Route(CIDR(address), interfaceIndex: hostIndex, scope: .link))
      try host.replaceNeighbour(
        Neighbour(interfaceIndex: hostIndex, address: address, mac: attachment.podMAC))
    }
  }

  /// On the host's end alone: packets of local sockets and of other pods may come back through it (rp_filter,
  /// accept_local), IPv6 is forwarded from it, and it makes no address for itself.
  private func writeHostSettings() {
    let name = attachment.hostInterface
    PodInterface.set("ipv4", name, "rp_filter", "0")
    PodInterface.set("ipv4", name, "accept_local", "1")
    PodInterface.set("ipv4", name, "forwarding", "1")
    PodInterface.set("ipv6", name, "disable_ipv6", "0")
    PodInterface.set("ipv6", name, "accept_dad", "0")
    PodInterface.set("ipv6", name, "accept_ra", "0")
    PodInterface.set("ipv6", name, "forwarding", "1")
  }

  /// Settings are missing where a kernel lacks a family; what depends on them then fails by itself.
  private static func set(_ family: String, _ device: String, _ setting: String, _ value: String) {
    try? StateFiles.put(value, into: "/proc/sys/net/\(family)/conf/\(device)/\(setting)")
  }
}

/// Why a pod's interface can not be made or is not as it should be.
public enum PodInterfaceError: Error, Hashable, Sendable, CustomStringConvertible {
  /// There is no namespace at the path.
  case noNamespace(String)
  case netlink(NetlinkError)
  /// A device is not there.
  case missing(String)
  /// Something differs from what ADD made.
  case wrong(String)

  init(_ error: any Error) {
    switch error {
    case let error as PodInterfaceError: self = error
    case let error as NetlinkError: self = .netlink(error)
    default: self = .wrong("\(error)")
    }
  }

  public var description: String {
    switch self {
    case .noNamespace(let path): "there is no network namespace at \(path)"
    case .netlink(let error): error.description
    case .missing(let device): "device \(device) is missing"
    case .wrong(let what): what
    }
  }

  /// The error object for the container runtime.
  public var cniError: CNIError {
    switch self {
    case .noNamespace: CNIError(.unknownContainer, description)
    case .netlink: CNIError(.ioFailure, description)
    case .missing, .wrong: CNIError(.agentFailure, description)
    }
  }
}
