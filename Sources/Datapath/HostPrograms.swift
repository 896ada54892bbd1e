import BPF
import CMartletABI
import Synchronization

/// The programs on the node's own devices, which judge the node's own traffic once it has a policy. They share every map
/// with the pods' programs; a node whose devices nobody named never loads them.
public final class HostPrograms: Sendable {
  private let pins: DatapathPins
  private let maps: [String: RawMap]
  private let loaded = Mutex<LoadedObject?>(nil)

  /// - Parameter maps: those of the pods' programs.
  init(pins: DatapathPins, maps: [String: RawMap]) {
    self.pins = pins
    self.maps = maps
  }

  /// Attaches both programs to a device, or replaces those of an earlier process. The device must carry Ethernet frames.
  public func attach(interface name: String, index: UInt32) throws {
    let object = try load()
    for (program, direction) in [("from_netdev", TrafficDirection.ingress), ("to_netdev", .egress)] {
      _ = try TCAttachment.attach(
        object.program(program), interfaceIndex: index, direction: direction, pinPath: pins.link(name, direction))
    }
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
