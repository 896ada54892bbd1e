import Glibc

/// A map of sockets (BPF_MAP_TYPE_SOCKMAP): index to socket. A socket leaves the map when it is closed.
public struct SocketMap: Sendable {
  public let raw: RawMap

  public init(_ raw: RawMap) throws(BPFError) {
    guard raw.info.type == .sockMap else {
      throw BPFError(call: "bpf", errno: EINVAL, detail: "\(raw.label) is a \(raw.info.type), not a sockmap")
    }
    self.raw = raw
  }

  public static func fromPin(_ path: String) throws(BPFError) -> SocketMap {
    try SocketMap(RawMap.fromPin(path))
  }

  /// Values are 8 bytes, so that ``cookie(_:)`` can be read.
  public static func create(name: String, maxEntries: UInt32) throws(BPFError) -> SocketMap {
    try SocketMap(RawMap.create(.sockMap, name: name, keySize: 4, valueSize: 8, maxEntries: maxEntries))
  }

  /// Puts a socket in place; its descriptor stays the caller's.
  public func update(_ index: UInt32, socket: Int32, _ condition: UpdateCondition = .any) throws(BPFError) {
    var value = UInt64(UInt32(bitPattern: socket))
    var index = index
    // On a little-endian machine the low 4 bytes come first, so one buffer serves both sizes of values.
    value = value.littleEndian
    try raw.unsafeUpdate(key: &index, value: &value, condition)
  }

  /// The cookie (SO_COOKIE) of the socket at `index`, for maps with 8-byte values.
  public func cookie(_ index: UInt32) throws(BPFError) -> UInt64? {
    guard raw.info.valueSize == 8 else {
      throw BPFError(call: "BPF_MAP_LOOKUP_ELEM", errno: ENOSPC, detail: "\(raw.label) has values of 4 bytes")
    }
    var index = index
    var value: UInt64 = 0
    return try raw.unsafeLookup(key: &index, value: &value) ? value : nil
  }

  @discardableResult
  public func delete(_ index: UInt32) throws(BPFError) -> Bool {
    var index = index
    // An empty slot is EINVAL here, unlike in other maps.
    do throws(BPFError) { return try raw.unsafeDelete(key: &index) } catch  where error.errno == EINVAL { return false }
  }
}
