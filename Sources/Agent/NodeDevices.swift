import Datapath
import Logging
import Netlink
import Synchronization

/// Keeps the programs that judge the node's own traffic on the devices that were named, also when one of them goes and
/// comes again, and on no other.
final class NodeDevices: Sendable {
  private let names: Set<String>
  private let programs: HostPrograms
  private let logger: Logger
  /// What is wrong with a device, as it was told last.
  private let told = Mutex<[String: String]>([:])

  init(names: [String], programs: HostPrograms, logger: Logger) {
    self.names = Set(names)
    self.programs = programs
    self.logger = logger
  }

  /// To be called now and then.
  func follow() {
    do { try programs.detach(except: names) } catch { logger.error("can not detach from devices: \(error)") }
    for name in names.sorted() {
      let problem = attach(name)
      guard told.withLock({ $0.updateValue(problem ?? "", forKey: name) ?? "" }) != problem ?? "" else { continue }
      if let problem { logger.error("the node's traffic on \(name) is not judged: \(problem)") }
    }
  }

  /// Why it could not be done; nil when it is.
  private func attach(_ name: String) -> String? {
    do {
      guard let interface = try NetlinkHandle().interface(named: name) else { return "there is no such device" }
      guard interface.isEthernet else { return "it does not carry Ethernet frames" }
      guard programs.devices[name] != interface.index else { return nil }
      try programs.attach(interface: name, index: interface.index)
      logger.info("the node's traffic on \(name) is judged when a policy selects the node")
      return nil
    } catch {
      return "\(error)"
    }
  }
}
