import CLibBPF
import Glibc

/// A map of the kernel, open in this process, with keys and values as bytes. Closed when its last owner goes; the kernel keeps
/// the map while a program, a pin or another process holds it.
///
/// Programs that know their types use ``BPFMap``; this form serves dumps and generic tools.
public final class RawMap: Sendable {
  let descriptor: OwnedDescriptor
  public let info: MapInfo
  /// Bytes that a lookup returns: of all CPUs, each rounded up to 8, when the map is per CPU.
  public let storedValueSize: Int

  init(_ descriptor: OwnedDescriptor) throws(BPFError) {
    self.descriptor = descriptor
    info = try MapInfo(descriptor: descriptor.number)
    storedValueSize = info.type.isPerCPU ? (info.valueSize + 7) / 8 * 8 * possibleCPUCount : info.valueSize
  }

  /// For calls that want the number itself; it stays owned by the map.
  public var fileDescriptor: Int32 { descriptor.number }

  /// Opens the map that is pinned at `path`.
  public static func fromPin(_ path: String) throws(BPFError) -> RawMap {
    try RawMap(Pin.open(path))
  }

  /// Opens the map with this id.
  public static func fromID(_ id: UInt32) throws(BPFError) -> RawMap {
    try RawMap(OwnedDescriptor(owning: check(bpf_map_get_fd_by_id(id), "BPF_MAP_GET_FD_BY_ID", "map \(id)")))
  }

  /// The ids of all maps of the machine, ascending.
  public static func allIDs() throws(BPFError) -> [UInt32] {
    try collectIDs("BPF_MAP_GET_NEXT_ID", bpf_map_get_next_id)
  }

  /// Makes a map. `innerMap` is the template of a map of maps; its descriptor is not kept.
  public static func create(
    _ type: MapType, name: String, keySize: Int, valueSize: Int, maxEntries: UInt32, flags: MapFlags = [],
    innerMap: RawMap? = nil
  ) throws(BPFError) -> RawMap {
    let number = withOptions(bpf_map_create_opts.self) { options in
      options.pointee.map_flags = flags.rawValue
      options.pointee.inner_map_fd = UInt32(innerMap?.fileDescriptor ?? 0)
      return bpf_map_create(
        type.kernel, String(name.prefix(15)), UInt32(keySize), UInt32(valueSize), maxEntries, options)
    }
    return try RawMap(OwnedDescriptor(owning: check(number, "BPF_MAP_CREATE", "\(type) \"\(name)\"")))
  }

  /// Pins the map; with `replacing` an older pin at `path` gives way.
  public func pin(at path: String, replacing: Bool = false) throws(BPFError) {
    try Pin.pin(fileDescriptor, at: path, replacing: replacing)
  }

  /// Forbids all later writes from user space.
  public func freeze() throws(BPFError) {
    try check(bpf_map_freeze(fileDescriptor), "BPF_MAP_FREEZE", label)
  }

  var label: String { "map \"\(info.name)\"" }
}

// MARK: - Entries as bytes

extension RawMap {
  /// The value of `key`, ``storedValueSize`` bytes, or nil. A value of a map of maps is the inner map's id.
  public func lookup(_ key: [UInt8]) throws(BPFError) -> [UInt8]? {
    try requireKey(key.count)
    var value = [UInt8](repeating: 0, count: storedValueSize)
    let found = try unsafeLookup(key: key, value: &value)
    return found ? value : nil
  }

  /// Writes ``storedValueSize`` bytes.
  public func update(_ key: [UInt8], _ value: [UInt8], _ condition: UpdateCondition = .any) throws(BPFError) {
    try requireKey(key.count)
    guard value.count == storedValueSize else {
      throw BPFError(call: "BPF_MAP_UPDATE_ELEM", errno: EINVAL, detail: "\(label): a value of \(value.count) bytes")
    }
    try unsafeUpdate(key: key, value: value, condition)
  }

  /// Whether there was such a key.
  @discardableResult
  public func delete(_ key: [UInt8]) throws(BPFError) -> Bool {
    try requireKey(key.count)
    return try unsafeDelete(key: key)
  }

  /// The key after `key` in the map's own order, the first for nil (and, in a hash, for a key that is gone); nil at the end.
  public func nextKey(after key: [UInt8]?) throws(BPFError) -> [UInt8]? {
    if let key { try requireKey(key.count) }
    var next = [UInt8](repeating: 0, count: info.keySize)
    return try unsafeNextKey(after: key, into: &next) ? next : nil
  }

  /// All entries, by batches where the kernel can. Entries that change meanwhile may be missed or seen in either state.
  public func entries() throws(BPFError) -> [(key: [UInt8], value: [UInt8])] {
    var found: [(key: [UInt8], value: [UInt8])] = []
    try forEachEntry { key, value in found.append((Array(key), Array(value))) }
    return found
  }

  private func requireKey(_ count: Int) throws(BPFError) {
    guard count == info.keySize else {
      throw BPFError(call: "bpf", errno: EINVAL, detail: "\(label): a key of \(count) bytes, not \(info.keySize)")
    }
  }
}

// MARK: - Entries by address: callers vouch for the sizes

extension RawMap {
  func unsafeLookup(key: UnsafeRawPointer, value: UnsafeMutableRawPointer) throws(BPFError) -> Bool {
    let result = bpf_map_lookup_elem(fileDescriptor, key, value)
    if result == -ENOENT { return false }
    try check(result, "BPF_MAP_LOOKUP_ELEM", label)
    return true
  }

  func unsafeUpdate(
    key: UnsafeRawPointer, value: UnsafeRawPointer, _ condition: UpdateCondition
  ) throws(BPFError) {
    try check(bpf_map_update_elem(fileDescriptor, key, value, condition.rawValue), "BPF_MAP_UPDATE_ELEM", label)
  }

  func unsafeDelete(key: UnsafeRawPointer) throws(BPFError) -> Bool {
    let result = bpf_map_delete_elem(fileDescriptor, key)
    if result == -ENOENT { return false }
    try check(result, "BPF_MAP_DELETE_ELEM", label)
    return true
  }

  func unsafeNextKey(after key: UnsafeRawPointer?, into next: UnsafeMutableRawPointer) throws(BPFError) -> Bool {
    let result = bpf_map_get_next_key(fileDescriptor, key, next)
    if result == -ENOENT { return false }
    try check(result, "BPF_MAP_GET_NEXT_KEY", label)
    return true
  }
}

/// Walks one of the kernel's id spaces.
func collectIDs(
  _ call: StaticString, _ next: (UInt32, UnsafeMutablePointer<UInt32>?) -> Int32
) throws(BPFError) -> [UInt32] {
  var ids: [UInt32] = []
  var id: UInt32 = 0
  while true {
    let result = next(id, &id)
    if result == -ENOENT { return ids }
    try check(result, call)
    ids.append(id)
  }
}
