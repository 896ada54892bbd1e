import Addressing
import JSON

/// One interface of one pod as the agent made it: the record that an agent reads back after a restart to adopt the
/// endpoint, and that says which addresses are in use.
public struct PodAttachment: Hashable, Sendable {
  public var key: CNIAttachmentKey
  public var podNamespace: String
  public var podName: String
  public var podUID: String
  /// Path of the pod's network namespace.
  public var netns: String
  /// Name of the device in the host's namespace, such as `mlt0a1b2c3d`.
  public var hostInterface: String
  public var hostMAC: MACAddress
  public var podMAC: MACAddress
  /// In bytes.
  public var mtu: Int
  /// One address of each family.
  public var addresses: [IPAddress]
  /// Nanoseconds since 1970; the order of the records, from which address allocation goes on.
  public var createdAt: Int64
  /// Name of the CNI network that it is of; empty in records that do not say.
  public var network: String

  public init(
    key: CNIAttachmentKey, podNamespace: String, podName: String, podUID: String, netns: String, hostInterface: String,
    hostMAC: MACAddress, podMAC: MACAddress, mtu: Int, addresses: [IPAddress], createdAt: Int64,
    network: String = ""
  ) {
    self.key = key
    self.podNamespace = podNamespace
    self.podName = podName
    self.podUID = podUID
    self.netns = netns
    self.hostInterface = hostInterface
    self.hostMAC = hostMAC
    self.podMAC = podMAC
    self.mtu = mtu
    self.addresses = addresses
    self.createdAt = createdAt
    self.network = network
  }

  /// A new attachment for what a runtime asked: its device names and random MAC addresses are chosen here.
  public init(_ invocation: CNIInvocation, addresses: [IPAddress], mtu: Int, createdAt: Int64) {
    var random = SystemRandomNumberGenerator()
    self.init(
      key: invocation.key, podNamespace: invocation.podNamespace, podName: invocation.podName,
      podUID: invocation.podUID, netns: invocation.netns, hostInterface: PodInterface.hostName(for: invocation.key),
      hostMAC: MACAddress(random: random.next()), podMAC: MACAddress(random: random.next()), mtu: mtu,
      addresses: addresses, createdAt: createdAt)
  }

  /// Whether there is a Pod object for it.
  public var isOfPod: Bool { !podNamespace.isEmpty && !podName.isEmpty }

  public var json: JSONValue {
    [
      "containerID": .string(key.containerID), "interface": .string(key.interfaceName),
      "podNamespace": .string(podNamespace), "podName": .string(podName), "podUID": .string(podUID),
      "netns": .string(netns), "hostInterface": .string(hostInterface), "hostMAC": .string(hostMAC.description),
      "podMAC": .string(podMAC.description), "mtu": .integer(Int64(mtu)),
      "addresses": .array(addresses.map { .string($0.description) }), "createdAt": .integer(createdAt),
      "network": .string(network),
    ]
  }

  public init(_ cursor: JSONCursor) throws(FieldError) {
    func text(_ key: String) throws(FieldError) -> String { try cursor.required(key).string() }
    func mac(_ key: String) throws(FieldError) -> MACAddress {
      let field = try cursor.required(key)
      guard let mac = MACAddress(try field.string()) else { throw field.error("is not a MAC address") }
      return mac
    }
    var addresses: [IPAddress] = []
    for element in try cursor.required("addresses").elements() {
      guard let address = IPAddress(try element.string()) else { throw element.error("is not an IP address") }
      addresses.append(address)
    }
    self.init(
      key: CNIAttachmentKey(containerID: try text("containerID"), interfaceName: try text("interface")),
      podNamespace: try text("podNamespace"), podName: try text("podName"), podUID: try text("podUID"),
      netns: try text("netns"), hostInterface: try text("hostInterface"), hostMAC: try mac("hostMAC"),
      podMAC: try mac("podMAC"), mtu: Int(try cursor.required("mtu").integer()), addresses: addresses,
      createdAt: try cursor.required("createdAt").integer(), network: try cursor.member("network")?.string() ?? "")
  }

  /// What ADD answers for this attachment; also the answer to an ADD that comes again.
  public var result: AttachmentResult {
    let v4 = addresses.contains(where: \.isIPv4)
    let v6 = addresses.contains(where: \.isIPv6)
    return AttachmentResult(
      interfaces: [
        AttachmentResult.Interface(name: hostInterface, mac: hostMAC.description, mtu: mtu),
        AttachmentResult.Interface(name: key.interfaceName, mac: podMAC.description, mtu: mtu, sandbox: netns),
      ],
      addresses: addresses.map {
        AttachmentResult.Address(
          $0, length: $0.isIPv4 ? 32 : 128, gateway: $0.isIPv4 ? PodGateway.v4 : PodGateway.v6, interface: 1)
      },
      routes: (v4 ? [AttachmentResult.Route(PodGateway.anyV4, gateway: PodGateway.v4)] : [])
        + (v6 ? [AttachmentResult.Route(PodGateway.anyV6, gateway: PodGateway.v6)] : []))
  }
}

/// The next hops that every pod sees; no device has these addresses, the datapath answers for them.
public enum PodGateway {
  /// 169.254.1.1
  public static let v4 = IPAddress(v4: 0xA9FE_0101)
  /// fe80::1
  public static let v6 = IPAddress(high: 0xFE80_0000_0000_0000, low: 1)
  /// 0.0.0.0/0
  public static var anyV4: CIDR { CIDR(IPAddress(v4: 0), length: 0) ?? CIDR(v4) }
  /// ::/0
  public static var anyV6: CIDR { CIDR(IPAddress(high: 0, low: 0), length: 0) ?? CIDR(v6) }
}
