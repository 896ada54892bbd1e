import CLibBPF
import Glibc

/// A typed view of a map: keys and values are plain structs with the layout that the programs use.
///
/// ```swift
/// let hits = try BPFMap<UInt32, UInt64>.create(.hash, name: "hits", maxEntries: 1024)
/// try hits.update(7, 1)
/// let seven = try hits.lookup(7)
/// ```
/// Types with padding inside must have it as named, zeroed fields: a hash compares all bytes of a key.
public struct BPFMap<Key: BitwiseCopyable & Sendable, Value: BitwiseCopyable & Sendable>: Sendable {
  public let raw: RawMap

  /// Fails with EINVAL when the sizes of `Key` and `Value` are not the map's.
  public init(_ raw: RawMap) throws(BPFError) {
    guard raw.info.keySize == MemoryLayout<Key>.size, raw.storedValueSize == MemoryLayout<Value>.size else {
      throw sizeMismatch(raw, "\(Key.self)", MemoryLayout<Key>.size, "\(Value.self)", MemoryLayout<Value>.size)
    }
    self.raw = raw
  }

  public var info: MapInfo { raw.info }

  public static func fromPin(_ path: String) throws(BPFError) -> BPFMap {
    try BPFMap(RawMap.fromPin(path))
  }

  public static func fromID(_ id: UInt32) throws(BPFError) -> BPFMap {
    try BPFMap(RawMap.fromID(id))
  }

  /// Makes a map of its own; an LPM trie gets ``MapFlags/noPreallocation``, which it requires.
  public static func create(
    _ type: MapType, name: String, maxEntries: UInt32, flags: MapFlags = []
  ) throws(BPFError) -> BPFMap {
    try BPFMap(
      RawMap.create(
        type, name: name, keySize: MemoryLayout<Key>.size, valueSize: MemoryLayout<Value>.size,
        maxEntries: maxEntries, flags: type == .lpmTrie ? flags.union(.noPreallocation) : flags))
  }

  public func lookup(_ key: Key) throws(BPFError) -> Value? {
    let (result, value) = withUnsafePointer(to: key) { key in
      withUnsafeTemporaryAllocation(of: Value.self, capacity: 1) { buffer -> (Int32, Value?) in
        guard let address = buffer.baseAddress else { return (-ENOMEM, nil) }
        let result = bpf_map_lookup_elem(raw.fileDescriptor, key, address)
        return (result, result == 0 ? address.pointee : nil)
      }
    }
    if result == -ENOENT { return nil }
    try check(result, "BPF_MAP_LOOKUP_ELEM", raw.label)
    return value
  }

  /// Writes an entry. ENOENT and EEXIST when `condition` forbids it, E2BIG (ENOSPC in a trie) when the map is full.
  public func update(_ key: Key, _ value: Value, _ condition: UpdateCondition = .any) throws(BPFError) {
    let result = withUnsafePointer(to: key) { key in
      withUnsafePointer(to: value) { bpf_map_update_elem(raw.fileDescriptor, key, $0, condition.rawValue) }
    }
    try check(result, "BPF_MAP_UPDATE_ELEM", raw.label)
  }

  /// Whether there was such a key.
  @discardableResult
  public func delete(_ key: Key) throws(BPFError) -> Bool {
    let result = withUnsafePointer(to: key) { bpf_map_delete_elem(raw.fileDescriptor, $0) }
    if result == -ENOENT { return false }
    try check(result, "BPF_MAP_DELETE_ELEM", raw.label)
    return true
  }

  /// The key after `key` in the map's own order, the first for nil (and, in a hash, for a key that is gone); nil at the end.
  public func nextKey(after key: Key?) throws(BPFError) -> Key? {
    try BPF.nextKey(raw, after: key)
  }

  /// All entries, by batches where the kernel can. Entries that change meanwhile may be missed or seen in either state.
  public func entries() throws(BPFError) -> [(key: Key, value: Value)] {
    var found: [(key: Key, value: Value)] = []
    try forEachEntry { found.append(($0, $1)) }
    return found
  }

  /// As ``entries()``, without the array.
  public func forEachEntry(_ body: (Key, Value) -> Void) throws(BPFError) {
    try raw.forEachEntry { body($0.loadUnaligned(as: Key.self), $1.loadUnaligned(as: Value.self)) }
  }

  /// Takes all entries out of the map.
  public func drain() throws(BPFError) -> [(key: Key, value: Value)] {
    var found: [(key: Key, value: Value)] = []
    try raw.forEachEntry(.lookupAndDelete) {
      found.append(($0.loadUnaligned(as: Key.self), $1.loadUnaligned(as: Value.self)))
    }
    return found
  }

  /// Writes many entries, by one call where the kernel can.
  public func update(_ entries: [(key: Key, value: Value)], _ condition: UpdateCondition = .any) throws(BPFError) {
    guard !entries.isEmpty else { return }
    let keys = packed(entries.lazy.map(\.key), entries.count)
    let values = packed(entries.lazy.map(\.value), entries.count)
    var count = UInt32(entries.count)
    let result = withOptions(bpf_map_batch_opts.self) { options in
      options.pointee.elem_flags = condition.rawValue
      return bpf_map_update_batch(raw.fileDescriptor, keys, values, &count, options)
    }
    // Also after an error in the middle: the single call names it.
    if result != 0 { for entry in entries { try update(entry.key, entry.value, condition) } }
  }
}

extension BPFMap {
  /// Takes many out, by one call where the kernel can. Keys that are not there are no error.
  public func delete(_ keys: [Key]) throws(BPFError) {
    guard !keys.isEmpty else { return }
    var count = UInt32(keys.count)
    let result = withOptions(bpf_map_batch_opts.self) { options in
      bpf_map_delete_batch(raw.fileDescriptor, packed(keys, keys.count), &count, options)
    }
    // Also after a key that is not there, where the kernel stops.
    if result != 0 { for key in keys { try delete(key) } }
  }
}

/// Values one after another, as the kernel wants them, which an array of padded Swift values is not.
private func packed<Value: BitwiseCopyable>(_ values: some Sequence<Value>, _ count: Int) -> [UInt8] {
  let size = MemoryLayout<Value>.size
  return [UInt8](unsafeUninitializedCapacity: count * size) { buffer, used in
    for value in values {
      withUnsafeBytes(of: value) { bytes in
        UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[used..<used + size])
          .copyMemory(from: bytes)
      }
      used += size
    }
  }
}

/// Shared by the typed views.
func nextKey<Key: BitwiseCopyable>(_ map: RawMap, after key: Key?) throws(BPFError) -> Key? {
  let (result, next) = withUnsafeTemporaryAllocation(of: Key.self, capacity: 1) { buffer -> (Int32, Key?) in
    guard let address = buffer.baseAddress else { return (-ENOMEM, nil) }
    let result =
      if let key {
        withUnsafePointer(to: key) { bpf_map_get_next_key(map.fileDescriptor, $0, address) }
      } else {
        bpf_map_get_next_key(map.fileDescriptor, nil, address)
      }
    return (result, result == 0 ? address.pointee : nil)
  }
  if result == -ENOENT { return nil }
  try check(result, "BPF_MAP_GET_NEXT_KEY", map.label)
  return next
}

func sizeMismatch(_ map: RawMap, _ key: String, _ keySize: Int, _ value: String, _ valueSize: Int) -> BPFError {
  BPFError(
    call: "bpf", errno: EINVAL,
    detail: "\(map.label) has keys of \(map.info.keySize) and values of \(map.info.valueSize) bytes, "
      + "\(key) has \(keySize) and \(value) \(valueSize)")
}
