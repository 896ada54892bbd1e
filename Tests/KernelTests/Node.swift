import BPF
import CMartletABI
import CMartletBPF
import Glibc
import Netlink
import Testing

let isRoot = geteuid() == 0

/// enum xdp_action.
enum XDPAction {
  static let drop: UInt32 = 1
  static let pass: UInt32 = 2
  static let tx: UInt32 = 3
  static let redirect: UInt32 = 4
}

let shot: UInt32 = 2
let redirected: UInt32 = 7
let passed: UInt32 = 0

enum Peer {
  static let a: UInt32 = 1001
  static let b: UInt32 = 1002
  static let elsewhere: UInt32 = 1003
}

struct Pod {
  let number: UInt8
  let identity: UInt32
  let ifindex: UInt32

  var podMAC: [UInt8] { [2, 0, 0, 0, number, 2] }
  var hostMAC: [UInt8] { [2, 0, 0, 0, number, 1] }
  func address(_ family: Family) -> Address {
    family == .ipv4 ? v4(10, 9, 0, number) : v6([0xfd, 0, 0, 9], number)
  }
}

/// A node of its own: the object loaded anew, with maps that no other test sees. Two pods live on the loopback device,
/// the only one that is everywhere, and a third on a device that is not there.
final class Node {
  let loaded: LoadedObject
  private var loadedHost: LoadedObject?
  private var loadedWire: LoadedObject?
  /// Tells the stack of the proxy's listeners, over the same maps.
  let proxy: LoadedObject
  let config: BPFMap<UInt32, martlet_config>
  let endpoints: BPFMap<martlet_addr, martlet_endpoint>
  let ipcache: BPFMap<martlet_ipcache_key, martlet_ipcache_entry>
  let policy: MapOfMaps<UInt32>
  let conntrack: BPFMap<martlet_ct_key, martlet_ct_entry>
  let ring: RingBuffer
  let metrics: PerCPUMap<UInt32, martlet_counter>
  let lost: PerCPUMap<UInt32, UInt64>

  let a = Pod(number: 1, identity: Peer.a, ifindex: 1)
  let b = Pod(number: 2, identity: Peer.b, ifindex: 1)
  let c = Pod(number: 3, identity: Peer.b, ifindex: 0x7fff_0000)

  /// Where programs run; without it the tests' own namespace and its loopback device.
  var outside: (namespace: NetworkNamespace, index: UInt32)?

  var settings = martlet_config() {
    didSet { try? config.update(0, settings) }
  }

  static func specification() throws -> ObjectSpecification {
    let object = UnsafeRawBufferPointer(start: martlet_endpoint_object(), count: martlet_endpoint_object_size())
    return try ObjectSpecification(bytes: Array(object), name: "endpoint")
  }

  static func hostSpecification() throws -> ObjectSpecification {
    let object = UnsafeRawBufferPointer(start: martlet_host_object(), count: martlet_host_object_size())
    return try ObjectSpecification(bytes: Array(object), name: "host")
  }

  static func wireSpecification() throws -> ObjectSpecification {
    let object = UnsafeRawBufferPointer(start: martlet_xdp_object(), count: martlet_xdp_object_size())
    return try ObjectSpecification(bytes: Array(object), name: "xdp")
  }

  static func proxySpecification() throws -> ObjectSpecification {
    let object = UnsafeRawBufferPointer(start: martlet_proxy_object(), count: martlet_proxy_object_size())
    return try ObjectSpecification(bytes: Array(object), name: "proxy")
  }

  /// `entries` in conntrack, `ringBytes` for events; what both pods may do is everything, until ``allow`` or ``rules`` say more.
  init(entries: UInt32 = 256, ringBytes: UInt32 = 65536) throws {
    var specification = try Node.specification()
    specification["martlet_conntrack"]?.maxEntries = entries
    specification["martlet_fragments"]?.maxEntries = 64
    specification["martlet_events"]?.maxEntries = ringBytes
    loaded = try specification.load()
    proxy = try Node.proxySpecification().load(reusing: loaded.maps)
    config = try loaded.map("martlet_config")
    endpoints = try loaded.map("martlet_endpoints")
    ipcache = try loaded.map("martlet_ipcache")
    policy = try MapOfMaps(loaded.map("martlet_policy"))
    conntrack = try loaded.map("martlet_conntrack")
    ring = try RingBuffer(loaded.map("martlet_events"))
    metrics = try PerCPUMap(loaded.map("martlet_metrics"))
    lost = try PerCPUMap(loaded.map("martlet_lost"))

    settings.abi_version = UInt32(MARTLET_ABI_VERSION)
    settings.policy_revision = 1
    settings.host_identity = 1
    settings.ct_tcp_syn = 60
    settings.ct_tcp_established = 21600
    settings.ct_tcp_closing = 10
    settings.ct_any = 30
    settings.ct_any_stream = 120
    try config.update(0, settings)
    for pod in [a, b, c] {
      var endpoint = martlet_endpoint()
      endpoint.ifindex = pod.ifindex
      endpoint.identity = pod.identity
      endpoint.id = UInt32(pod.number)
      withUnsafeMutableBytes(of: &endpoint.pod_mac) { $0.copyBytes(from: pod.podMAC) }
      withUnsafeMutableBytes(of: &endpoint.host_mac) { $0.copyBytes(from: pod.hostMAC) }
      for family in Family.allCases { try endpoints.update(abi(pod.address(family)), endpoint) }
    }
    for identity in [Peer.a, Peer.b] { try rules(identity, [Rule(.egress, .allow, 1), Rule(.ingress, .allow, 2)]) }
  }

  /// The programs of the node's own devices, over the same maps.
  func host() throws -> LoadedObject {
    if let loadedHost { return loadedHost }
    let object = try Node.hostSpecification().load(reusing: loaded.maps)
    loadedHost = object
    return object
  }

  /// The program that its devices' drivers run, over the same maps.
  func wire() throws -> LoadedObject {
    if let loadedWire { return loadedWire }
    let object = try Node.wireSpecification().load(reusing: loaded.maps)
    loadedWire = object
    return object
  }

  enum Side: UInt8 {
    case ingress = 0
    case egress = 1
  }
  enum Verdict: UInt8 {
    case allow = 1
    case deny = 2
    case proxy = 3
  }

  struct Rule {
    var side: Side
    var verdict: Verdict
    var id: UInt32
    var peer: UInt32 = 0
    var proto: UInt8?
    var port: UInt16?
    var portBits = 16
    var http: UInt32 = 0

    init(
      _ side: Side, _ verdict: Verdict, _ id: UInt32, peer: UInt32 = 0, proto: UInt8? = nil, port: UInt16? = nil,
      portBits: Int = 16, http: UInt32 = 0
    ) {
      (self.side, self.verdict, self.id, self.peer, self.proto) = (side, verdict, id, peer, proto)
      (self.port, self.portBits, self.http) = (port, portBits, http)
    }
  }

  /// Replaces the policy of a subject.
  func rules(_ subject: UInt32, _ rules: [Rule]) throws {
    let inner = try BPFMap<martlet_policy_key, martlet_policy_entry>.create(.lpmTrie, name: "rules", maxEntries: 64)
    let withClasses = Set(rules.filter { $0.peer >= MARTLET_PEER_PODS }.map(\.side))
    func flags(_ side: Side) -> UInt8 { withClasses.contains(side) ? UInt8(MARTLET_POLICY_HAS_CLASSES.rawValue) : 0 }
    for side in withClasses {
      var key = martlet_policy_key()
      key.direction = side.rawValue
      key.prefix_length = UInt32(MARTLET_POLICY_PREFIX_PEER)
      var marker = martlet_policy_entry()
      marker.flags = flags(side)
      try inner.update(key, marker)
    }
    for rule in rules {
      var key = martlet_policy_key()
      key.peer = rule.peer
      key.direction = rule.side.rawValue
      key.prefix_length = UInt32(MARTLET_POLICY_PREFIX_PEER)
      if let proto = rule.proto {
        key.protocol = proto
        key.prefix_length = UInt32(MARTLET_POLICY_PREFIX_PROTOCOL)
        if let port = rule.port {
          key.port = port.bigEndian
          key.prefix_length += UInt32(rule.portBits)
        }
      }
      var entry = martlet_policy_entry()
      entry.rule = rule.id
      entry.proxy_rules = rule.http
      entry.verdict = rule.verdict.rawValue
      entry.flags = rule.peer == 0 ? flags(rule.side) : 0
      try inner.update(key, entry)
    }
    try policy.update(subject, inner.raw)
  }

  /// Puts these pods into audit mode, and no others.
  func watch(_ pods: Set<UInt8>) throws {
    for pod in [a, b] {
      for family in Family.allCases {
        var endpoint = try #require(try endpoints.lookup(abi(pod.address(family))))
        endpoint.flags = pods.contains(pod.number) ? MARTLET_ENDPOINT_AUDIT.rawValue : 0
        try endpoints.update(abi(pod.address(family)), endpoint)
      }
    }
    settings.policy_revision += 1
  }

  /// Says that `prefix` (bits of the mapped form) is `identity`.
  func know(_ address: Address, _ prefix: UInt32, _ identity: UInt32) throws {
    var key = martlet_ipcache_key()
    key.prefix_length = prefix
    withUnsafeMutableBytes(of: &key.address) { $0.copyBytes(from: address) }
    var entry = martlet_ipcache_entry()
    entry.identity = identity
    try ipcache.update(key, entry)
  }

  func abi(_ address: Address) -> martlet_addr {
    address.withUnsafeBytes { $0.loadUnaligned(as: martlet_addr.self) }
  }
}
