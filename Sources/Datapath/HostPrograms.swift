import BPF
import CMartletABI
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The programs on the node's own devices, which judge the node's own traffic once it has a policy. They share every map
/// with the pods' programs; a node whose devices nobody named never loads them.
public final class HostPrograms: Sendable {
  private let pins: DatapathPins
  private let maps: [String: RawMap]
  private let loaded = Mutex<LoadedObject?>(nil)
  /// Index by name.
  private let attached = Mutex<[String: UInt32]>([:])

  /// - Parameter maps: those of the pods' programs.
  init(pins: DatapathPins, maps: [String: RawMap]) {
    self.pins = pins
    self.maps = maps
  }

  /// Attaches both programs to a device, or replaces those of an earlier process. The device must carry Ethernet frames.
  public func attach(interface name: String, index: UInt32) throws {
    let object = try load()
    try pins.devices.add(name)
    for (program, direction) in [("from_netdev", TrafficDirection.ingress), ("to_netdev", .egress)] {
      _ = try TCAttachment.attach(
        object.program(program), interfaceIndex: index, direction: direction,
        pinPath: pins.devices.link(name, direction))
    }
    attached.withLock { $0[name] = index }
  }

  /// Puts the programs back where somebody has taken them off a device that this process had attached to; the devices' names.
  public func repair() throws -> [String] {
    var repaired: [String] = []
    for (name, index) in devices.sorted(by: { $0.key < $1.key }) where if_nametoindex(name) == index {
      let object = try load()
      let isComplete = try [("from_netdev", TrafficDirection.ingress), ("to_netdev", .egress)].allSatisfy {
        let id = try object.program($0.0).id
        return try TCAttachment.query(interfaceIndex: index, direction: $0.1).contains { $0.programID == id }
      }
      if isComplete { continue }
      try attach(interface: name, index: index)
      repaired.append(name)
    }
    return repaired
  }

  /// Ends the attachments, of this process and of earlier ones, to all devices but these.
  public func detach(except kept: Set<String>) throws {
    try pins.devices.detach(except: kept)
    attached.withLock { $0 = $0.filter { kept.contains($0.key) } }
  }

  /// The devices that this process has attached to, by name, and the index each had then.
  public var devices: [String: UInt32] { attached.withLock { $0 } }

  /// The program that sees what the node sends (`egress`) or receives, and the index of a device that has it; nil where no
  /// device does.
  func program(_ direction: TrafficDirection) throws -> (program: Program, interfaceIndex: UInt32)? {
    guard let index = devices.min(by: { $0.key < $1.key })?.value else { return nil }
    return (try load().program(direction == .egress ? "to_netdev" : "from_netdev"), index)
  }

  private func load() throws -> LoadedObject {
    try loaded.withLock { loaded in
      if let loaded { return loaded }
      let object = try ObjectSpecification(bytes: BPFObjects.host, name: "host").load(reusing: maps)
      for name in ["from_netdev", "to_netdev"] {
        try object.program(name).pin(at: pins.programs + "/" + name, replacing: true)
      }
      loaded = object
      return object
    }
  }
}
