import Datapath
import Logging
import Netlink
import Synchronization

/// Keeps the programs on the devices that were named, also when one of them goes and comes again, and on no other; tells them
/// the node's addresses there.
final class NodeDevices: Sendable {
  private let names: Set<String>
  private let masquerades: Bool
  private let table: DeviceTable
  private let programs: HostPrograms
  private let accelerator: DeviceAccelerator
  private let logger: Logger
  /// What is wrong with a device, as it was told last.
  private let told = Mutex<[String: String]>([:])

  init(
    names: [String], masquerades: Bool, table: DeviceTable, programs: HostPrograms, accelerator: DeviceAccelerator,
    logger: Logger
  ) {
    self.names = Set(names)
    self.masquerades = masquerades
    self.table = table
    self.programs = programs
    self.accelerator = accelerator
    self.logger = logger
  }

  /// Why a device has no programs, or not all of them, by its name.
  var problems: [String: String] {
    told.withLock { $0.filter { !$0.value.isEmpty } }.merging(accelerator.problems) { problem, _ in problem }
  }

  /// To be called now and then.
  func follow() {
    do { try programs.detach(except: names) } catch { logger.error("can not detach from devices: \(error)") }
    var found: [String: NodeDevice] = [:]
    var problems: [String: String] = [:]
    for name in names {
      do throws(DeviceProblem) { found[name] = try look(at: name) } catch { problems[name] = error.text }
    }
    // Before the programs: they do not translate on a device that they do not find there.
    do { try table.reconcile(Array(found.values)) } catch {
      for name in found.keys { problems[name] = "\(error)" }
    }
    for (name, device) in found where problems[name] == nil {
      do throws(DeviceProblem) { try attach(name, device) } catch { problems[name] = error.text }
    }
    accelerate(found, except: Set(problems.keys))
    for name in names.sorted() {
      let problem = problems[name] ?? ""
      guard told.withLock({ $0.updateValue(problem, forKey: name) ?? "" }) != problem, !problem.isEmpty else {
        continue
      }
      logger.error("traffic on \(name) is neither judged nor balanced: \(problem)")
    }
  }

  /// After the programs of traffic control, which take what XDP leaves; and before others hand frames to a device.
  private func accelerate(_ devices: [String: NodeDevice], except faulty: Set<String>) {
    var devices = devices
    accelerator.detach(except: Set(devices.keys).subtracting(faulty))
    for (name, device) in devices {
      if !faulty.contains(name) { accelerator.attach(name, device) }
      devices[name]?.xdp = faulty.contains(name) ? nil : accelerator.mode(name, device)
    }
    // What could not be written is so ten seconds later.
    try? table.reconcile(Array(devices.values))
  }

  private struct DeviceProblem: Error {
    let text: String
  }

  private func look(at name: String) throws(DeviceProblem) -> NodeDevice {
    do {
      let netlink = try NetlinkHandle()
      guard let interface = try netlink.interface(named: name) else {
        throw DeviceProblem(text: "there is no such device")
      }
      guard interface.isEthernet else { throw DeviceProblem(text: "it does not carry Ethernet frames") }
      var device = NodeDevice(
        index: interface.index, addresses: try netlink.addresses(interfaceIndex: interface.index),
        previous: try table.devices().first { $0.index == interface.index }, masquerades: masquerades)
      device.mac = interface.mac
      device.xdp = accelerator.modeToExpect(name, device)
      return device
    } catch {
      throw error as? DeviceProblem ?? DeviceProblem(text: "\(error)")
    }
  }

  private func attach(_ name: String, _ device: NodeDevice) throws(DeviceProblem) {
    guard programs.devices[name] != device.index else { return }
    do { try programs.attach(interface: name, index: device.index) } catch { throw DeviceProblem(text: "\(error)") }
    let addresses = device.addresses.map(\.description).joined(separator: ", ")
    logger.info(
      "\(name) (\(addresses)) is a device to the outside\(device.masquerades ? ", pods leave with its addresses" : "")")
  }
}
