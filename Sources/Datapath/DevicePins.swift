import BPF

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The attachments to the node's own devices. Each device has a folder, which also tells of attachments that have no pin:
/// the filters of kernels before tcx.
extension DatapathPins {
  // Names on a BPF file system have no dots, and names of devices no percent signs.
  private func folder(_ device: String) -> String {
    "\(devices)/" + String(device.map { $0 == "." ? "%" : $0 })
  }

  func deviceLink(_ device: String, _ direction: TrafficDirection) -> String {
    "\(folder(device))/\(direction.rawValue)"
  }

  func makeFolder(_ device: String) throws(BPFError) { try BPFFS.makeDirectories(folder(device)) }

  /// Names of the node's devices that have attachments.
  public func attachedDevices() throws(BPFError) -> [String] {
    try BPFFS.list(devices).map { String($0.map { $0 == "%" ? "." : $0 }) }
  }

  /// Ends the attachments to all of the node's devices but these.
  public func detachDevices(except kept: Set<String>) throws(BPFError) {
    for device in try attachedDevices() where !kept.contains(device) {
      let index = if_nametoindex(device)
      for direction in TrafficDirection.allCases {
        let path = deviceLink(device, direction)
        let hasPin = access(path, F_OK) == 0
        remove(path)
        if !hasPin, index != 0 { try TCAttachment.detachFilter(interfaceIndex: index, direction: direction) }
      }
      rmdir(folder(device))
    }
  }
}
