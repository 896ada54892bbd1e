/// A map whose values are maps. The programs see an inner map change with one write.
public struct MapOfMaps<Key: BitwiseCopyable & Sendable>: Sendable {
  // User space writes a descriptor and reads an id, both 32 bits.
  private let map: BPFMap<Key, UInt32>

  public init(_ raw: RawMap) throws(BPFError) {
    map = try BPFMap(raw)
  }

  public var raw: RawMap { map.raw }

  public static func fromPin(_ path: String) throws(BPFError) -> MapOfMaps {
    try MapOfMaps(RawMap.fromPin(path))
  }

  /// `template` gives the inner maps' type, key, value and flags.
  public static func create(
    _ type: MapType = .hashOfMaps, name: String, maxEntries: UInt32, template: RawMap, flags: MapFlags = []
  ) throws(BPFError) -> MapOfMaps {
    try MapOfMaps(
      RawMap.create(
        type, name: name, keySize: MemoryLayout<Key>.size, valueSize: 4, maxEntries: maxEntries, flags: flags,
        innerMap: template))
  }

  /// Puts `inner` in place; the outer map then holds it. EINVAL when it does not fit the template.
  public func update(_ key: Key, _ inner: RawMap, _ condition: UpdateCondition = .any) throws(BPFError) {
    try map.update(key, UInt32(inner.fileDescriptor), condition)
  }

  /// Puts many in place, by one call where the kernel can.
  public func update(_ inners: [(key: Key, inner: RawMap)]) throws(BPFError) {
    try map.update(inners.map { (key: $0.key, value: UInt32($0.inner.fileDescriptor)) })
  }

  /// The id of the inner map at `key`.
  public func innerID(_ key: Key) throws(BPFError) -> UInt32? { try map.lookup(key) }

  /// Opens the inner map at `key`; nil also when it was replaced and freed meanwhile.
  public func inner(_ key: Key) throws(BPFError) -> RawMap? {
    guard let id = try map.lookup(key) else { return nil }
    do throws(BPFError) { return try RawMap.fromID(id) } catch  where error.isNoEntry { return nil }
  }

  @discardableResult
  public func delete(_ key: Key) throws(BPFError) -> Bool { try map.delete(key) }

  public func nextKey(after key: Key?) throws(BPFError) -> Key? { try map.nextKey(after: key) }

  /// All keys and the ids of their inner maps.
  public func entries() throws(BPFError) -> [(key: Key, innerID: UInt32)] {
    try map.entries().map { ($0.key, $0.value) }
  }
}
