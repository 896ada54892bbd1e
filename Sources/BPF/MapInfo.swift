import CLibBPF
import Glibc

/// What the kernel says of a map (struct bpf_map_info).
public struct MapInfo: Sendable, Hashable {
  /// Unique on this machine until the map is freed.
  public let id: UInt32
  public let type: MapType
  /// The kernel keeps 15 characters.
  public let name: String
  /// In bytes.
  public let keySize: Int
  /// In bytes; of one copy when the map is per CPU.
  public let valueSize: Int
  /// Entries; bytes for a ring buffer.
  public let maxEntries: UInt32
  public let flags: MapFlags

  init(descriptor: Int32) throws(BPFError) {
    var info = bpf_map_info()
    var length = UInt32(MemoryLayout<bpf_map_info>.size)
    try check(bpf_obj_get_info_by_fd(descriptor, &info, &length), "BPF_OBJ_GET_INFO_BY_FD", "a map")
    id = info.id
    type = MapType(rawValue: info.type)
    name = text(of: info.name)
    keySize = Int(info.key_size)
    valueSize = Int(info.value_size)
    maxEntries = info.max_entries
    flags = MapFlags(rawValue: info.map_flags)
  }
}

/// CPUs that can ever come online: the copies of a per-CPU value.
public let possibleCPUCount = max(1, Int(libbpf_num_possible_cpus()))

extension RawMap {
  /// Bytes that the kernel holds for the map now (`memlock` in /proc/self/fdinfo); inner maps count for themselves.
  public func memoryBytes() throws(BPFError) -> Int {
    let path = "/proc/self/fdinfo/\(fileDescriptor)"
    guard let file = fopen(path, "re") else { throw BPFError(call: "open", errno: errno, detail: path) }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let words = line.prefix { $0 != 0 }.split { $0 == 9 || $0 == 10 || $0 == 32 }
        .map { String(decoding: $0.map(UInt8.init(bitPattern:)), as: UTF8.self) }
      if words.count == 2, words[0] == "memlock:", let bytes = Int(words[1]) { return bytes }
    }
    throw BPFError(call: "read", errno: ENODATA, detail: path)
  }
}
