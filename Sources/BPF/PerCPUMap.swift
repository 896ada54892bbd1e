import Glibc

/// A typed view of a per-CPU map: each entry has one value for each possible CPU.
public struct PerCPUMap<Key: BitwiseCopyable & Sendable, Value: BitwiseCopyable & Sendable>: Sendable {
  public let raw: RawMap

  /// Fails with EINVAL when the map is not per CPU or the sizes of `Key` and `Value` are not the map's.
  public init(_ raw: RawMap) throws(BPFError) {
    guard raw.info.type.isPerCPU, raw.info.keySize == MemoryLayout<Key>.size,
      raw.info.valueSize == MemoryLayout<Value>.size
    else {
      throw sizeMismatch(raw, "\(Key.self)", MemoryLayout<Key>.size, "per-CPU \(Value.self)", MemoryLayout<Value>.size)
    }
    self.raw = raw
  }

  public static func fromPin(_ path: String) throws(BPFError) -> PerCPUMap {
    try PerCPUMap(RawMap.fromPin(path))
  }

  public static func create(
    _ type: MapType, name: String, maxEntries: UInt32, flags: MapFlags = []
  ) throws(BPFError) -> PerCPUMap {
    try PerCPUMap(
      RawMap.create(
        type, name: name, keySize: MemoryLayout<Key>.size, valueSize: MemoryLayout<Value>.size,
        maxEntries: maxEntries, flags: flags))
  }

  /// The distance of two CPUs' values: the kernel rounds up to 8 bytes.
  private static var stride: Int { (MemoryLayout<Value>.size + 7) / 8 * 8 }

  /// One value for each CPU, ``possibleCPUCount`` of them, or nil.
  public func lookup(_ key: Key) throws(BPFError) -> [Value]? {
    try raw.lookup(bytes(key)).map { stored in stored.withUnsafeBytes(Self.values) }
  }

  /// Writes one value for each CPU; `values` has ``possibleCPUCount`` elements.
  public func update(_ key: Key, _ values: [Value], _ condition: UpdateCondition = .any) throws(BPFError) {
    var stored: [UInt8] = []
    for value in values {
      stored += bytes(value)
      stored += [UInt8](repeating: 0, count: Self.stride - MemoryLayout<Value>.size)
    }
    try raw.update(bytes(key), stored, condition)
  }

  @discardableResult
  public func delete(_ key: Key) throws(BPFError) -> Bool { try raw.delete(bytes(key)) }

  public func nextKey(after key: Key?) throws(BPFError) -> Key? { try BPF.nextKey(raw, after: key) }

  /// All entries, by batches where the kernel can.
  public func entries() throws(BPFError) -> [(key: Key, values: [Value])] {
    var found: [(key: Key, values: [Value])] = []
    try raw.forEachEntry { found.append(($0.loadUnaligned(as: Key.self), Self.values($1))) }
    return found
  }

  private static func values(_ stored: UnsafeRawBufferPointer) -> [Value] {
    (0..<possibleCPUCount).map { stored.loadUnaligned(fromByteOffset: $0 * stride, as: Value.self) }
  }

  private func bytes<Element: BitwiseCopyable>(_ element: Element) -> [UInt8] {
    withUnsafeBytes(of: element) { Array($0) }
  }
}
