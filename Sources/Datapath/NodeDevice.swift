import Addressing
import BPF
import CMartletABI
import KernelABI
import Netlink

/// A device of the node's to the outside, and the node's addresses on it.
public struct NodeDevice: Hashable, Sendable {
  public var index: UInt32
  /// What leaves with the node's address leaves with these; nil: nothing of that family does.
  public var ipv4: IPAddress?
  public var ipv6: IPAddress?
  /// Frames for this node have it; nil: XDP takes none.
  public var mac: MACAddress?
  /// Pods' packets leave with the node's address.
  public var masquerades: Bool
  /// How it has ``WireProgram``; nil: not at all, and no frames of other devices may be handed to its driver.
  public var xdp: XDPMode?

  public init(
    index: UInt32, ipv4: IPAddress? = nil, ipv6: IPAddress? = nil, mac: MACAddress? = nil, masquerades: Bool = false,
    xdp: XDPMode? = nil
  ) {
    self.index = index
    self.ipv4 = ipv4
    self.ipv6 = ipv6
    self.mac = mac
    self.masquerades = masquerades
    self.xdp = xdp
  }

  /// - Parameters:
  ///   - addresses: the device's, in the kernel's order.
  ///   - previous: what was chosen before, which stays for as long as the device has it: connections are bound to it.
  public init(index: UInt32, addresses: [InterfaceAddress], previous: NodeDevice?, masquerades: Bool) {
    func choose(_ candidates: [InterfaceAddress], _ previous: IPAddress?) -> IPAddress? {
      let usable = candidates.filter(\.isSource)
      if let previous, usable.contains(where: { $0.address == previous }) { return previous }
      // Those that are there to stay first.
      return (usable.first { $0.flags.contains(.permanent) } ?? usable.first)?.address
    }
    let own = addresses.filter { $0.interfaceIndex == index }
    self.init(
      index: index, ipv4: choose(own.filter(\.address.isIPv4), previous?.ipv4),
      // The kernel tells the newest IPv6 address first, the oldest IPv4 address first: the oldest it is.
      ipv6: choose(own.filter(\.address.isIPv6).reversed(), previous?.ipv6), masquerades: masquerades)
  }

  /// Those that it has, the IPv4 address first.
  public var addresses: [IPAddress] { [ipv4, ipv6].compactMap { $0 } }

  init(_ index: UInt32, _ entry: martlet_device) {
    func address(_ value: martlet_addr) -> IPAddress? { value.hi == 0 && value.lo == 0 ? nil : IPAddress(value) }
    let octets = withUnsafeBytes(of: entry.mac) { Array($0) }
    self.init(
      index: index, ipv4: address(entry.ipv4), ipv6: address(entry.ipv6),
      mac: octets.contains { $0 != 0 } ? MACAddress(bytes: octets) : nil,
      masquerades: entry.has(MARTLET_DEVICE_MASQUERADE),
      xdp: entry.has(MARTLET_DEVICE_GENERIC_XDP) ? .generic : entry.has(MARTLET_DEVICE_XDP) ? .native : nil)
  }

  var entry: martlet_device {
    let none = martlet_addr(hi: 0, lo: 0)
    var flags: UInt32 = 0
    if masquerades { flags |= MARTLET_DEVICE_MASQUERADE.rawValue }
    if xdp != nil { flags |= MARTLET_DEVICE_XDP.rawValue }
    if xdp == .generic { flags |= MARTLET_DEVICE_GENERIC_XDP.rawValue }
    var entry = martlet_device()
    entry.ipv4 = ipv4.map(martlet_addr.init) ?? none
    entry.ipv6 = ipv6.map(martlet_addr.init) ?? none
    entry.flags = flags
    if let mac { withUnsafeMutableBytes(of: &entry.mac) { $0.copyBytes(from: mac.bytes) } }
    return entry
  }
}

extension martlet_device {
  fileprivate func has(_ flag: martlet_device_flags) -> Bool { flags & flag.rawValue != 0 }
}

extension InterfaceAddress {
  /// Whether connections to elsewhere may come from it.
  fileprivate var isSource: Bool {
    scope == .universe && flags.isDisjoint(with: [.tentative, .dadFailed, .deprecated, .secondary])
  }
}
