import Addressing
import BPF
import CMartletABI
import Services

/// The maps as what is written to and read from.
struct KernelServiceStore: ServiceStore {
  let maps: ServiceMaps
  let maglevSize: Int

  var room: ServiceMapsRoom {
    ServiceMapsRoom(
      frontends: Int(maps.frontends.info.maxEntries), services: Int(maps.services.info.maxEntries),
      slots: Int(maps.slots.info.maxEntries), backends: Int(maps.backends.info.maxEntries),
      maglev: Int(maps.maglev.raw.info.maxEntries), ranges: Int(maps.ranges.info.maxEntries))
  }

  func content() throws -> ServiceMapsContent {
    var content = ServiceMapsContent()
    try maps.frontends.forEachEntry { content.apply(.frontend(FrontendKey($0), KernelFrontend($1))) }
    try maps.services.forEachEntry { content.apply(.service($0, KernelService($1))) }
    try maps.backends.forEachEntry { content.apply(.backend($0, KernelBackend($1))) }
    var tables: [UInt32: [UInt32: UInt32]] = [:]
    try maps.slots.forEachEntry { tables[$0.table, default: [:]][$0.slot] = $1 }
    for (table, slots) in tables {
      // A table that was being written has holes at most at its end, and then nobody reads it.
      let count = (slots.keys.max() ?? 0) + 1
      content.apply(.slots(table: table, (0..<count).map { slots[$0] ?? 0 }))
    }
    try maps.ranges.forEachEntry { key, _ in
      if let block = CIDR(key) { content.apply(.ranges(service: key.service, [block])) }
    }
    for (service, _) in try maps.maglev.entries() {
      guard let inner = try maps.maglev.inner(service), let bytes = try inner.lookup([0, 0, 0, 0]) else { continue }
      content.apply(.maglev(service: service, KernelServiceStore.numbers(bytes, maglevSize)))
    }
    var remembered: UInt32 = 0
    try maps.affinity.forEachEntry { remembered = max(remembered, $0.service, $1.backend) }
    try maps.peers.forEachEntry { remembered = max(remembered, $1.service, $1.backend) }
    content.remembered = remembered
    return content
  }

  static func numbers(_ bytes: [UInt8], _ count: Int) -> [UInt32] {
    bytes.withUnsafeBytes { bytes in
      (0..<min(count, bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self) }
    }
  }

  func write(_ writes: [ServiceWrite]) -> [Int: any Error] {
    // Of one kind, so the first one tells.
    switch writes.first {
    case nil: [:]
    case .backend:
      update(maps.backends, writes) {
        if case .backend(let number, let value) = $0 { [(number, value.entry)] } else { [] }
      }
    case .slots:
      update(maps.slots, writes) { write in
        guard case .slots(let table, let numbers) = write else { return [] }
        return numbers.enumerated().map { (martlet_slot_key(table: table, slot: UInt32($0)), $1) }
      }
    case .ranges:
      update(maps.ranges, writes) { write in
        guard case .ranges(let service, let blocks) = write else { return [] }
        return blocks.map { (martlet_source_range_key(service, $0), 1) }
      }
    case .maglev: updateMaglev(writes)
    case .service:
      update(maps.services, writes) {
        if case .service(let number, let value) = $0 { [(number, value.entry)] } else { [] }
      }
    case .frontend:
      update(maps.frontends, writes) {
        if case .frontend(let key, let value) = $0 { [(key.entry, value.entry)] } else { [] }
      }
    case .removeFrontend:
      delete(maps.frontends, writes) { if case .removeFrontend(let key) = $0 { [key.entry] } else { [] } }
    case .removeService:
      delete(maps.services, writes) { if case .removeService(let number) = $0 { [number] } else { [] } }
    case .removeMaglev: removeMaglev(writes)
    case .removeRanges:
      delete(maps.ranges, writes) { write in
        guard case .removeRanges(let service, let blocks) = write else { return [] }
        return blocks.map { martlet_source_range_key(service, $0) }
      }
    case .removeSlots:
      delete(maps.slots, writes) { write in
        guard case .removeSlots(let table, let count) = write else { return [] }
        return (0..<UInt32(count)).map { martlet_slot_key(table: table, slot: $0) }
      }
    case .removeBackend:
      delete(maps.backends, writes) { if case .removeBackend(let number) = $0 { [number] } else { [] } }
    }
  }

  /// All by one call; where that is refused, each write by itself, to learn which.
  private func update<Key, Value>(
    _ map: BPFMap<Key, Value>, _ writes: [ServiceWrite], _ entries: (ServiceWrite) -> [(key: Key, value: Value)]
  ) -> [Int: any Error] {
    var all: [(key: Key, value: Value)] = []
    all.reserveCapacity(writes.count)
    for write in writes { all += entries(write) }
    do { try map.update(all) } catch {
      var refused: [Int: any Error] = [:]
      for (index, write) in writes.enumerated() {
        do { try map.update(entries(write)) } catch { refused[index] = error }
      }
      return refused
    }
    return [:]
  }

  private func delete<Key, Value>(
    _ map: BPFMap<Key, Value>, _ writes: [ServiceWrite], _ keys: (ServiceWrite) -> [Key]
  ) -> [Int: any Error] {
    do { try map.delete(writes.flatMap(keys)) } catch {
      var refused: [Int: any Error] = [:]
      for (index, write) in writes.enumerated() {
        do { try map.delete(keys(write)) } catch { refused[index] = error }
      }
      return refused
    }
    return [:]
  }

  /// After a write to a map of maps the kernel waits until no program is under way that may use an old one: once for each
  /// batch. Each map of a batch takes a descriptor.
  private func updateMaglev(_ writes: [ServiceWrite]) -> [Int: any Error] {
    var refused: [Int: any Error] = [:]
    for start in stride(from: 0, to: writes.count, by: 128) {
      var batch: [(index: Int, service: UInt32, inner: RawMap)] = []
      for index in start..<min(start + 128, writes.count) {
        guard case .maglev(let service, let table) = writes[index] else { continue }
        do { batch.append((index, service, try inner(table))) } catch { refused[index] = error }
      }
      do { try maps.maglev.update(batch.map { ($0.service, $0.inner) }) } catch {
        for element in batch {
          do { try maps.maglev.update(element.service, element.inner) } catch { refused[element.index] = error }
        }
      }
    }
    return refused
  }

  private func inner(_ table: [UInt32]) throws(BPFError) -> RawMap {
    let size = Int(MARTLET_MAGLEV_MAX) * MemoryLayout<UInt32>.size
    let inner = try RawMap.create(.array, name: "martlet_mgl", keySize: 4, valueSize: size, maxEntries: 1)
    var bytes = [UInt8](repeating: 0, count: size)
    bytes.withUnsafeMutableBytes { bytes in
      for (index, number) in table.prefix(Int(MARTLET_MAGLEV_MAX)).enumerated() {
        bytes.storeBytes(of: number, toByteOffset: index * 4, as: UInt32.self)
      }
    }
    try inner.update([0, 0, 0, 0], bytes)
    return inner
  }

  private func removeMaglev(_ writes: [ServiceWrite]) -> [Int: any Error] {
    var refused: [Int: any Error] = [:]
    for (index, write) in writes.enumerated() {
      guard case .removeMaglev(let service) = write else { continue }
      do throws(BPFError) { try maps.maglev.delete(service) } catch { refused[index] = error }
    }
    return refused
  }
}
