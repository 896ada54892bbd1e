import Addressing
import BPF
import CMartletABI
import KernelABI

/// The node's devices to the outside: the map `martlet_devices`. Packets on other devices are not translated.
public struct DeviceTable: Sendable {
  let map: BPFMap<UInt32, martlet_device>

  /// Makes the map hold just these.
  public func reconcile(_ devices: [NodeDevice]) throws(BPFError) {
    let known = Set(devices.map(\.index))
    let present = Set(try self.devices())
    for device in present where !known.contains(device.index) { try map.delete(device.index) }
    for device in devices where !present.contains(device) { try map.update(device.index, device.entry) }
  }

  /// What the map holds, in the order of the devices' indexes.
  public func devices() throws(BPFError) -> [NodeDevice] {
    try map.entries().map { NodeDevice($0, $1) }.sorted { $0.index < $1.index }
  }
}

/// Where pods go with their own address, also by way of a device that masquerades: the map `martlet_native`.
public struct NativeBlocks: Sendable {
  let map: BPFMap<martlet_ipcache_key, UInt8>

  /// Makes the map hold just these.
  ///
  /// - Throws: E2BIG or ENOSPC when it is full; the widest blocks are in it then.
  public func reconcile(_ blocks: Set<CIDR>) throws(BPFError) {
    let present = Set(try self.blocks())
    for block in present.subtracting(blocks) { try map.delete(martlet_ipcache_key(block)) }
    for block in blocks.subtracting(present).sorted(by: { ($0.length, $0) < ($1.length, $1) }) {
      try map.update(martlet_ipcache_key(block), 1)
    }
  }

  /// What the map holds, in their order.
  public func blocks() throws(BPFError) -> [CIDR] { try map.entries().compactMap { CIDR($0.key) }.sorted() }
}
