import BPF

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The attachments to a group of devices. Each device has a folder below `root`, which holds the pins of its links and also
/// tells of attachments that have no pin: filters.
public struct AttachmentPins: Hashable, Sendable {
  let root: String

  // Names on a BPF file system have no dots, and names of devices no percent signs.
  private func folder(_ device: String) -> String { "\(root)/" + String(device.map { $0 == "." ? "%" : $0 }) }

  func link(_ device: String, _ direction: TrafficDirection) -> String { "\(folder(device))/\(direction.rawValue)" }

  func xdp(_ device: String, _ mode: XDPMode) -> String { "\(folder(device))/xdp_\(mode.rawValue)" }

  /// Says that a device has attachments; to be called before it gets them.
  func add(_ device: String) throws(BPFError) { try BPFFS.makeDirectories(folder(device)) }

  /// Names of the devices that have attachments.
  public func devices() throws(BPFError) -> [String] {
    try BPFFS.list(root).map { String($0.map { $0 == "%" ? "." : $0 }) }
  }

  /// Ends the attachments to a device, which may be gone.
  func detach(_ device: String) throws(BPFError) {
    let index = if_nametoindex(device)
    for direction in TrafficDirection.allCases {
      let hadPin = unlink(link(device, direction)) == 0
      if !hadPin, index != 0 { try TCAttachment.detachFilter(interfaceIndex: index, direction: direction) }
    }
    detachXDP(device)
    rmdir(folder(device))
  }

  /// Ends the attachments by XDP to a device, or all but that of one mode.
  func detachXDP(_ device: String, except kept: XDPMode? = nil) {
    for mode in XDPMode.allCases where mode != kept {
      let path = xdp(device, mode)
      guard access(path, F_OK) == 0 else { continue }
      // Without the pin alone the kernel would do so a moment later, and a device takes but one program.
      try? Link.fromPin(path).detach()
      unlink(path)
    }
  }

  /// Ends the attachments to all devices but these.
  public func detach(except kept: Set<String>) throws(BPFError) {
    for device in try devices() where !kept.contains(device) { try detach(device) }
  }

  func removeAll() throws(BPFError) {
    try detach(except: [])
    rmdir(root)
  }

  /// Which program is on which device of the calling thread's network namespace.
  func programs() throws(BPFError) -> [(device: String, programID: UInt32)] {
    var found: [(device: String, programID: UInt32)] = []
    for device in try devices() {
      for mode in XDPMode.allCases {
        if let info = try? Link.fromPin(xdp(device, mode)).info(), info.interfaceIndex != 0 {
          found.append((device, info.programID))
        }
      }
      for direction in TrafficDirection.allCases {
        if let info = try? Link.fromPin(link(device, direction)).info() {
          found.append((device, info.programID))
        } else if let filter = try? TCAttachment.query(interfaceIndex: if_nametoindex(device), direction: direction)
          .first(where: { $0.mechanism == .clsact })
        {
          found.append((device, filter.programID))
        }
      }
    }
    return found
  }
}
