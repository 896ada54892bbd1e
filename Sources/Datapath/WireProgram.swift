import BPF
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The program `from_wire` on the node's devices, which sends on by XDP what only turns round at the node. It shares every
/// map with the pods' programs; a node that does without never loads it.
public final class WireProgram: Sendable {
  private let pins: DatapathPins
  private let maps: [String: RawMap]
  private let loaded = Mutex<Program?>(nil)
  private let attached = Mutex<[String: Attachment]>([:])
  private var pin: String { pins.programs + "/from_wire" }

  private struct Attachment: Hashable {
    let index: UInt32
    let mode: XDPMode
  }

  /// - Parameter maps: those of the pods' programs.
  init(pins: DatapathPins, maps: [String: RawMap]) {
    self.pins = pins
    self.maps = maps
  }

  /// Attaches the program to a device that has those of ``HostPrograms``, or puts it in place of that of an earlier process;
  /// does nothing where this process has done so before.
  ///
  /// - Throws: EOPNOTSUPP where the driver can not, EBUSY where the device has somebody else's program.
  public func attach(interface name: String, index: UInt32, mode: XDPMode) throws {
    let wanted = Attachment(index: index, mode: mode)
    guard attached.withLock({ $0[name] }) != wanted else { return }
    let program = try load()
    try pins.devices.add(name)
    pins.devices.detachXDP(name, except: mode)
    if let link = link(name, index, mode) {
      try link.update(to: program)
    } else {
      // Of a device that had the name before.
      pins.devices.detachXDP(name)
      try Link.xdp(program, interfaceIndex: index, mode: mode).pin(at: pins.devices.xdp(name, mode))
    }
    attached.withLock { $0[name] = wanted }
  }

  /// Ends the attachment to a device, of this process and of earlier ones.
  public func detach(interface name: String) {
    pins.devices.detachXDP(name)
    attached.withLock { $0[name] = nil }
  }

  /// How a device has the program, of this process or of an earlier one; nil: not at all.
  public func mode(interface name: String, index: UInt32) -> XDPMode? {
    XDPMode.allCases.first { link(name, index, $0) != nil }
  }

  /// Puts the program back where somebody has taken it off a device that this process had attached to; the devices' names.
  public func repair() throws -> [String] {
    var repaired: [String] = []
    for (name, wanted) in attached.withLock({ $0 }).sorted(by: { $0.key < $1.key })
    where if_nametoindex(name) == wanted.index && mode(interface: name, index: wanted.index) != wanted.mode {
      attached.withLock { $0[name] = nil }
      do { try attach(interface: name, index: wanted.index, mode: wanted.mode) } catch {
        attached.withLock { $0[name] = wanted }
        throw error
      }
      repaired.append(name)
    }
    return repaired
  }

  /// Ends the attachments, of this process and of earlier ones, to all devices but these.
  public func detach(except kept: Set<String>) throws(BPFError) {
    for device in try pins.devices.devices() where !kept.contains(device) { pins.devices.detachXDP(device) }
    attached.withLock { $0 = $0.filter { kept.contains($0.key) } }
    guard kept.isEmpty else { return }
    loaded.withLock { $0 = nil }
    pins.remove(pin)
  }

  /// The pinned attachment, if it is in force on this device.
  private func link(_ name: String, _ index: UInt32, _ mode: XDPMode) -> Link? {
    guard let link = try? Link.fromPin(pins.devices.xdp(name, mode)), (try? link.info())?.interfaceIndex == index else {
      return nil
    }
    return link
  }

  private func load() throws -> Program {
    try loaded.withLock { loaded in
      if let loaded { return loaded }
      let program = try ObjectSpecification(bytes: BPFObjects.wire, name: "xdp").load(reusing: maps).program(
        "from_wire")
      try program.pin(at: pin, replacing: true)
      loaded = program
      return program
    }
  }
}
