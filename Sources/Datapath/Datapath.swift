import Addressing
import BPF
import CMartletABI
import CMartletBPF
import Identity
import KernelABI
import Logging
import Netlink
import Synchronization

/// The kernel's part of a node: its programs and maps, loaded or adopted, and each table behind a type of its own.
///
/// Everything that packets need is pinned, so it outlives this process. A new process adopts the maps with their content,
/// loads its own programs, and puts them in place of the old ones device by device without a gap.
public final class Datapath: Sendable {
  public let endpoints: EndpointMap
  public let ipcache: IPCache
  public let policy: PolicyTables
  public let connections: ConnectionTable
  public let counters: DatapathCounters
  public let services: ServiceMaps
  public let serviceTraffic: ServiceTrafficTable
  public let translations: NATTable
  public let devices: DeviceTable
  public let native: NativeBlocks
  public let directReturns: DirectReturns
  public let fromContainer: Program
  public let toContainer: Program
  public let host: HostPrograms
  public let wire: WireProgram
  public let proxyLookup: ProxyLookup
  public let sockets: SocketPrograms
  public let socketTermination: SocketTermination
  /// Whether the maps of an earlier process were found and kept.
  public let adopted: Bool
  let pins: DatapathPins
  let configuration: NodeConfiguration
  let events: RawMap

  /// Loads the programs and their maps, or adopts the maps that are pinned.
  ///
  /// Pins of another ABI version or of other sizes are removed and made anew: connections are then judged afresh, which
  /// the log says.
  public init(pins: DatapathPins, sizes: MapSizes = MapSizes(), logger: Logger) throws {
    self.pins = pins
    try BPFFS.ensureMounted()
    for directory in [pins.maps, pins.programs] { try BPFFS.makeDirectories(directory) }
    if let found = Datapath.pinnedABI(pins), found != 0, found != ABI.version {
      logger.warning("pinned maps of ABI version \(found) are replaced, so every connection is judged again")
      try pins.removeMaps()
    }
    let object: LoadedObject
    do {
      object = try Datapath.load(pins, sizes)
    } catch let mismatch as PinnedMapMismatch {
      logger.warning("\(mismatch): pinned maps are replaced, so every connection is judged again")
      try pins.removeMaps()
      object = try Datapath.load(pins, sizes)
    }
    adopted = !object.adopted.isEmpty
    host = HostPrograms(pins: pins, maps: object.maps)
    wire = WireProgram(pins: pins, maps: object.maps)
    proxyLookup = ProxyLookup(pins: pins, maps: object.maps)
    sockets = SocketPrograms(pins: pins, maps: object.maps)
    socketTermination = SocketTermination(maps: object.maps)
    configuration = NodeConfiguration(map: try object.map(.configuration))
    endpoints = EndpointMap(map: try object.map(.endpoints), configuration: configuration)
    ipcache = IPCache(map: try object.map(.ipcache), configuration: configuration)
    policy = PolicyTables(
      outer: try MapOfMaps(object.map(.policy)),
      innerCapacity: sizes.sizes[.policyEntries] ?? UInt32(MARTLET_POLICY_MAX_ENTRIES))
    connections = ConnectionTable(map: try object.map(.connections))
    counters = DatapathCounters(
      metrics: try PerCPUMap(object.map(.metrics)), lost: try PerCPUMap(object.map(.lost)))
    services = try ServiceMaps { (name) throws(BPFError) -> RawMap in try object.map(name) }
    serviceTraffic = ServiceTrafficTable(map: try PerCPUMap(object.map(.serviceTraffic)))
    translations = NATTable(map: try object.map(.nat), configuration: configuration.map)
    devices = DeviceTable(map: try object.map(.devices))
    native = NativeBlocks(map: try object.map(.native))
    directReturns = DirectReturns(DirectReturnTable(map: try object.map(.directReturns)), logger: logger)
    events = try object.map(.events)
    fromContainer = try object.program("from_container")
    toContainer = try object.program("to_container")
    try fromContainer.pin(at: pins.programs + "/from_container", replacing: true)
    try toContainer.pin(at: pins.programs + "/to_container", replacing: true)
  }

  /// The version of the ABI that the pinned maps speak; nil without pins.
  private static func pinnedABI(_ pins: DatapathPins) -> UInt32? {
    let pinned = try? BPFMap<UInt32, martlet_config>.fromPin(pins.map(.configuration))
    return (try? pinned?.lookup(0))?.abi_version
  }

  private static func load(_ pins: DatapathPins, _ sizes: MapSizes) throws -> LoadedObject {
    var specification = try ObjectSpecification(bytes: BPFObjects.endpoint, name: "endpoint")
    specification.pinMaps()
    sizes.apply(to: &specification)
    return try specification.load(pinningMapsBelow: pins.maps)
  }

  /// Writes the node's settings. The policy's revision goes on counting from that of an earlier process; whether the node
  /// has a policy, and the size of its Maglev tables, stay as they were.
  public func configure(_ settings: DatapathSettings) throws(BPFError) {
    let previous = try configuration.entry
    var entry = settings.entry(after: previous)
    entry.flags |= (previous?.flags ?? 0) & MARTLET_CONFIG_HOST_POLICY.rawValue
    entry.maglev_size = previous?.maglev_size ?? 0
    try configuration.write(entry)
  }

  /// The revision of policy and identities that connections are judged by.
  public func revision() throws(BPFError) -> UInt32 { try configuration.entry?.policy_revision ?? 0 }

  /// Says whether the node itself has a policy, which is that of the identity `host`. To be called when that policy is in
  /// the map: without one everything from and to the node would be dropped.
  public func setHostPolicy(_ isOn: Bool) throws(BPFError) {
    if try hasHostPolicy() == isOn { return }
    let flag = MARTLET_CONFIG_HOST_POLICY.rawValue
    try configuration.change { $0.flags = isOn ? $0.flags | flag : $0.flags & ~flag }
  }

  /// Whether the kernel judges the node's own traffic.
  public func hasHostPolicy() throws(BPFError) -> Bool {
    (try configuration.entry?.flags ?? 0) & MARTLET_CONFIG_HOST_POLICY.rawValue != 0
  }

  /// Makes every connection be judged again on its next packet; to be called after policy or identities changed.
  public func bumpRevision() throws(BPFError) { try configuration.change { $0.policy_revision &+= 1 } }

  /// Attaches both programs to the host side of a pod's veth, or replaces those of an earlier process.
  ///
  /// By filters, not by tcx: creating a tcx link waits for a grace period of RCU, 8 to 16 ms for each of the two, with the lock
  /// held that every change of the network configuration takes. A filter costs a tenth of a millisecond, and the device is ours
  /// alone, so nobody else's programs need an order with these. They last as long as the device.
  public func attach(interface name: String, index: UInt32) throws(BPFError) {
    try pins.pods.add(name)
    for (program, direction) in [(fromContainer, TrafficDirection.ingress), (toContainer, .egress)] {
      _ = try TCAttachment.attach(program, interfaceIndex: index, direction: direction, mechanism: .clsact)
    }
  }

  /// Whether both programs are on a device of a pod's.
  public func isAttached(index: UInt32) throws(BPFError) -> Bool {
    for (program, direction) in [(fromContainer, TrafficDirection.ingress), (toContainer, .egress)] {
      let found = try TCAttachment.query(interfaceIndex: index, direction: direction)
      guard found.contains(where: { $0.programID == program.id }) else { return false }
    }
    return true
  }

  /// Those of the devices that lack the discipline that filters are below, from one dump.
  public static func withoutQdisc(_ indexes: Set<UInt32>) throws -> Set<UInt32> {
    if indexes.isEmpty { return [] }
    let present = try NetlinkHandle().queueingDisciplines().filter { $0.kind == "clsact" }.map(\.interfaceIndex)
    return indexes.subtracting(present)
  }

  /// Ends a device's attachments, or forgets them when it is gone.
  public func detach(interface name: String) throws(BPFError) { try pins.pods.detach(name) }

  /// Names of the devices that have attachments.
  public func attachedInterfaces() throws(BPFError) -> Set<String> { Set(try pins.pods.devices()) }

  /// The events of the kernel, in batches, read on a timer so that a packet never pays for waking a reader.
  public func eventBatches(every interval: Duration = .milliseconds(20)) throws(BPFError)
    -> RingBufferBatches<martlet_event>
  {
    try RingBuffer(events).batches(wakeup: .every(interval)) { bytes in
      bytes.count >= MemoryLayout<martlet_event>.size ? bytes.loadUnaligned(as: martlet_event.self) : nil
    }
  }
}

/// The compiled programs that this executable carries.
enum BPFObjects {
  static let endpoint = bytes(martlet_endpoint_object(), martlet_endpoint_object_size())
  static let host = bytes(martlet_host_object(), martlet_host_object_size())
  static let proxy = bytes(martlet_proxy_object(), martlet_proxy_object_size())
  static let socket = bytes(martlet_socket_object(), martlet_socket_object_size())
  static let wire = bytes(martlet_xdp_object(), martlet_xdp_object_size())
  static let socketList = bytes(martlet_socketlist_object(), martlet_socketlist_object_size())

  private static func bytes(_ start: UnsafeRawPointer, _ count: Int) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: start, count: count))
  }
}

extension LoadedObject {
  fileprivate func map(_ name: MapName) throws(BPFError) -> RawMap { try map(name.rawValue) }

  fileprivate func map<Key, Value>(_ name: MapName) throws(BPFError) -> BPFMap<Key, Value> { try map(name.rawValue) }
}
