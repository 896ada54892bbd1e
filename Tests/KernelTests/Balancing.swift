import BPF
import CMartletABI
import Testing

/// An address and port, as frames have them.
struct Place: Equatable {
  var address: Address
  var port: UInt16
}

/// A node with services, whose maps it fills as the agent does.
final class Balancer {
  static let number: UInt32 = 10
  let node: Node
  let family: Family
  let services: BPFMap<UInt32, martlet_service>
  let backends: BPFMap<UInt32, martlet_backend>
  let nat: BPFMap<martlet_nat_key, martlet_nat_entry>

  init(_ family: Family) throws {
    node = try Node()
    self.family = family
    services = try node.loaded.map("martlet_services")
    backends = try node.loaded.map("martlet_backends")
    nat = try node.loaded.map("martlet_nat")
    node.settings.flags = MARTLET_CONFIG_TRACE_EVENTS.rawValue
    node.settings.node_port_first = 30000
    node.settings.node_port_last = 32767
    node.settings.nat_port_first = 61000
    node.settings.nat_port_last = 61099
  }

  var vip: Place { Place(address: family == .ipv4 ? v4(10, 96, 0, 10) : v6([0xfd, 0, 0, 0x96], 10), port: 80) }
  var world: Address { family == .ipv4 ? v4(198, 51, 100, 7) : v6([0x20, 1, 0xd, 0xb8], 7) }
  var elsewhere: Address { family == .ipv4 ? v4(10, 9, 1, 9) : v6([0xfd, 0, 0, 9, 1], 9) }
  var hairpin: Address {
    family == .ipv4
      ? v4(169, 254, 42, 1) : [0, 0x64, 0xff, 0x9b, 0, 1] + [UInt8](repeating: 0, count: 6) + [0xa9, 0xfe, 0x2a, 1]
  }

  func frontend(_ place: Place, _ proto: UInt8, service: UInt32 = number, external: UInt32 = 0) throws {
    var key = martlet_frontend_key()
    key.address = node.abi(place.address)
    key.port = place.port.bigEndian
    key.protocol = proto
    var entry = martlet_frontend()
    entry.service = service
    entry.external = external
    try node.loaded.map("martlet_frontends", key: martlet_frontend_key.self, value: martlet_frontend.self)
      .update(key, entry)
  }

  /// Backends have the numbers service * 100 + 1, and so on. Those that are pods of the node are local.
  func service(
    _ number: UInt32, _ proto: UInt8, _ places: [Place], affinity: UInt32 = 0, flags: UInt32 = 0, listener: UInt32 = 0
  ) throws {
    let slots = try node.loaded.map("martlet_service_slots", key: martlet_slot_key.self, value: UInt32.self)
    let local = [node.a, node.b, node.c].map { $0.address(family) }
    for (index, place) in places.enumerated() {
      var backend = martlet_backend()
      backend.address = node.abi(place.address)
      backend.port = place.port.bigEndian
      backend.protocol = proto
      backend.flags = local.contains(place.address) ? UInt8(MARTLET_BACKEND_LOCAL.rawValue) : 0
      try backends.update(number * 100 + 1 + UInt32(index), backend)
      try slots.update(martlet_slot_key(table: number, slot: UInt32(index)), number * 100 + 1 + UInt32(index))
    }
    try services.update(
      number,
      martlet_service(
        table: number, count: UInt32(places.count), affinity: affinity, flags: flags, listener: listener, pad: 0)
    )
  }

  /// One service at ``vip``.
  func balance(
    _ proto: UInt8, to places: [Place], affinity: UInt32 = 0, flags: UInt32 = 0, listener: UInt32 = 0
  ) throws {
    try service(Balancer.number, proto, places, affinity: affinity, flags: flags, listener: listener)
    try frontend(vip, proto)
  }

  /// What a pod sends.
  func sent(
    by pod: Pod, from port: UInt16, to place: Place, _ carrier: Carrier, _ flags: UInt8 = TCPFlag.ack
  ) -> Frame {
    carrier.seal(
      node.frame(family, from: pod, to: place.address, carrier.proto, carrier.payload(port, place.port, flags)))
  }

  /// What the node's stack brings to a pod.
  func brought(
    to pod: Pod, port: UInt16, from place: Place, _ carrier: Carrier, _ flags: UInt8 = TCPFlag.ack
  ) -> Frame {
    carrier.seal(
      node.frame(family, from: place.address, to: pod, carrier.proto, carrier.payload(place.port, port, flags)))
  }

  /// What a pod gets from here.
  func received(
    by pod: Pod, port: UInt16, from place: Place, _ carrier: Carrier, _ flags: UInt8 = TCPFlag.ack
  ) -> Frame {
    let frame = Frame(
      family: family, sourceMAC: pod.hostMAC, destinationMAC: pod.podMAC, source: place.address,
      destination: pod.address(family), hopLimit: 63, proto: carrier.proto,
      payload: carrier.payload(place.port, port, flags))
    return carrier.seal(frame)
  }

  /// An ICMP error that cites the first `count` octets of a packet.
  func unreachable(_ frame: Frame, citing cited: Frame, count: Int = 576) -> Frame {
    var error = frame
    error.proto = family.icmp
    error.payload = icmp(family.unreachable, code: 3, data: Array(cited.packet.prefix(count)))
    return error.sealed
  }
}
