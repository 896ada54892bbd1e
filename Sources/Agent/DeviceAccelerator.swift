import BPF
import Datapath
import Logging
import Netlink
import Synchronization

/// Keeps the XDP program on the node's devices, as far as that is asked for.
final class DeviceAccelerator: Sendable {
  private let acceleration: Acceleration
  private let program: WireProgram
  private let logger: Logger
  /// Why a device does without, by its name, and the index it had.
  private let without = Mutex<[String: (index: UInt32, reason: String)]>([:])

  init(_ acceleration: Acceleration, program: WireProgram, logger: Logger) {
    self.acceleration = acceleration
    self.program = program
    self.logger = logger
  }

  /// What was asked for and is not so, by the name of the device.
  var problems: [String: String] {
    acceleration == .bestEffort
      ? [:] : without.withLock { $0.mapValues { "no \(acceleration.rawValue) XDP: \($0.reason)" } }
  }

  /// For people: how each of the devices has it.
  func summary(_ devices: [String: UInt32]) -> String {
    if acceleration == .disabled { return "XDP disabled" }
    var names: [XDPMode: [String]] = [:]
    for (name, index) in devices.sorted(by: { $0.key < $1.key }) {
      if let mode = program.mode(interface: name, index: index) { names[mode, default: []].append(name) }
    }
    let missing = without.withLock { $0 }.sorted { $0.key < $1.key }.map { "not on \($0.key): \($0.value.reason)" }
    let present = XDPMode.allCases.compactMap { mode in names[mode].map { "\(mode) on \($0.joined(separator: ", "))" } }
    return "XDP " + (present + missing).joined(separator: ", ")
  }

  func mode(_ name: String, _ device: NodeDevice) -> XDPMode? {
    program.mode(interface: name, index: device.index)
  }

  /// What the programs of traffic control are to be told before there is an XDP program in front of them.
  func modeToExpect(_ name: String, _ device: NodeDevice) -> XDPMode? {
    acceleration == .generic ? .generic : mode(name, device)
  }

  /// To be called for a device that has the programs of traffic control, as often as one likes.
  func attach(_ name: String, _ device: NodeDevice) {
    guard let mode: XDPMode = acceleration == .generic ? .generic : acceleration == .disabled ? nil : .native else {
      return
    }
    // A driver that can not will not learn it.
    if acceleration == .bestEffort, without.withLock({ $0[name]?.index }) == device.index { return }
    do {
      if acceleration == .bestEffort, try NetlinkHandle().interface(named: name)?.kind == "veth" {
        return leaveOut(name, device, "a veth sends nothing back unless its other end has a program too")
      }
      try program.attach(interface: name, index: device.index, mode: mode)
      without.withLock { $0[name] = nil }
    } catch {
      leaveOut(name, device, "\(error)")
    }
  }

  /// Ends the attachments to all devices but these.
  func detach(except kept: Set<String>) {
    do { try program.detach(except: acceleration == .disabled ? [] : kept) } catch {
      logger.error("can not take XDP programs off: \(error)")
    }
    without.withLock { $0 = $0.filter { kept.contains($0.key) } }
  }

  private func leaveOut(_ name: String, _ device: NodeDevice, _ reason: String) {
    let before = without.withLock { $0.updateValue((device.index, reason), forKey: name) }
    guard before?.reason != reason || before?.index != device.index else { return }
    logger.notice("\(name) does without XDP: \(reason)")
  }
}
