import CLibBPF
import CLinux

/// enum bpf_map_type.
public struct MapType: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }
  init(_ type: bpf_map_type) { self.init(rawValue: type.rawValue) }

  public static let hash = MapType(BPF_MAP_TYPE_HASH)
  public static let array = MapType(BPF_MAP_TYPE_ARRAY)
  public static let programArray = MapType(BPF_MAP_TYPE_PROG_ARRAY)
  public static let perCPUHash = MapType(BPF_MAP_TYPE_PERCPU_HASH)
  public static let perCPUArray = MapType(BPF_MAP_TYPE_PERCPU_ARRAY)
  public static let lruHash = MapType(BPF_MAP_TYPE_LRU_HASH)
  public static let lruPerCPUHash = MapType(BPF_MAP_TYPE_LRU_PERCPU_HASH)
  public static let lpmTrie = MapType(BPF_MAP_TYPE_LPM_TRIE)
  public static let arrayOfMaps = MapType(BPF_MAP_TYPE_ARRAY_OF_MAPS)
  public static let hashOfMaps = MapType(BPF_MAP_TYPE_HASH_OF_MAPS)
  public static let sockMap = MapType(BPF_MAP_TYPE_SOCKMAP)
  public static let sockHash = MapType(BPF_MAP_TYPE_SOCKHASH)
  public static let ringBuffer = MapType(BPF_MAP_TYPE_RINGBUF)
  public static let socketStorage = MapType(BPF_MAP_TYPE_SK_STORAGE)
  public static let deviceMap = MapType(BPF_MAP_TYPE_DEVMAP)
  public static let deviceHash = MapType(BPF_MAP_TYPE_DEVMAP_HASH)

  /// Whether a value is one copy for each possible CPU.
  public var isPerCPU: Bool { self == .perCPUHash || self == .perCPUArray || self == .lruPerCPUHash }
  /// Whether values are other maps.
  public var isOfMaps: Bool { self == .arrayOfMaps || self == .hashOfMaps }

  var kernel: bpf_map_type { bpf_map_type(rawValue: rawValue) }
}

extension MapType: CustomStringConvertible {
  /// The kernel's word for it, such as `lpm_trie`.
  public var description: String { libbpf_bpf_map_type_str(kernel).map { String(cString: $0) } ?? "\(rawValue)" }
}

/// enum bpf_prog_type.
public struct ProgramType: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }
  init(_ type: bpf_prog_type) { self.init(rawValue: type.rawValue) }

  public static let socketFilter = ProgramType(BPF_PROG_TYPE_SOCKET_FILTER)
  public static let schedCLS = ProgramType(BPF_PROG_TYPE_SCHED_CLS)
  public static let xdp = ProgramType(BPF_PROG_TYPE_XDP)
  public static let cgroupSKB = ProgramType(BPF_PROG_TYPE_CGROUP_SKB)
  public static let cgroupSock = ProgramType(BPF_PROG_TYPE_CGROUP_SOCK)
  public static let cgroupSockAddr = ProgramType(BPF_PROG_TYPE_CGROUP_SOCK_ADDR)
  public static let sockOps = ProgramType(BPF_PROG_TYPE_SOCK_OPS)
  public static let skSKB = ProgramType(BPF_PROG_TYPE_SK_SKB)
  public static let skLookup = ProgramType(BPF_PROG_TYPE_SK_LOOKUP)

  var kernel: bpf_prog_type { bpf_prog_type(rawValue: rawValue) }
}

extension ProgramType: CustomStringConvertible {
  /// The kernel's word for it, such as `sched_cls`.
  public var description: String { libbpf_bpf_prog_type_str(kernel).map { String(cString: $0) } ?? "\(rawValue)" }
}

/// enum bpf_attach_type.
public struct AttachType: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }
  init(_ type: bpf_attach_type) { self.init(rawValue: type.rawValue) }

  public static let xdp = AttachType(BPF_XDP)
  public static let cgroupInetIngress = AttachType(BPF_CGROUP_INET_INGRESS)
  public static let cgroupInetEgress = AttachType(BPF_CGROUP_INET_EGRESS)
  public static let cgroupInet4Connect = AttachType(BPF_CGROUP_INET4_CONNECT)
  public static let cgroupInet6Connect = AttachType(BPF_CGROUP_INET6_CONNECT)
  public static let cgroupInet4PostBind = AttachType(BPF_CGROUP_INET4_POST_BIND)
  public static let cgroupInet6PostBind = AttachType(BPF_CGROUP_INET6_POST_BIND)
  public static let cgroupUDP4Sendmsg = AttachType(BPF_CGROUP_UDP4_SENDMSG)
  public static let cgroupUDP6Sendmsg = AttachType(BPF_CGROUP_UDP6_SENDMSG)
  public static let cgroupUDP4Recvmsg = AttachType(BPF_CGROUP_UDP4_RECVMSG)
  public static let cgroupUDP6Recvmsg = AttachType(BPF_CGROUP_UDP6_RECVMSG)
  public static let cgroupInet4GetPeerName = AttachType(BPF_CGROUP_INET4_GETPEERNAME)
  public static let cgroupInet6GetPeerName = AttachType(BPF_CGROUP_INET6_GETPEERNAME)
  public static let cgroupSockOps = AttachType(BPF_CGROUP_SOCK_OPS)
  public static let skLookup = AttachType(BPF_SK_LOOKUP)
  public static let tcxIngress = AttachType(rawValue: UInt32(CLINUX_BPF_TCX_INGRESS))
  public static let tcxEgress = AttachType(rawValue: UInt32(CLINUX_BPF_TCX_EGRESS))

  var kernel: bpf_attach_type { bpf_attach_type(rawValue: rawValue) }
}

extension AttachType: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tcxIngress: "tcx_ingress"
    case .tcxEgress: "tcx_egress"
    default: libbpf_bpf_attach_type_str(kernel).map { String(cString: $0) } ?? "\(rawValue)"
    }
  }
}

/// Flags at the creation of a map: BPF_F_… of linux/bpf.h.
public struct MapFlags: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let noPreallocation = MapFlags(rawValue: 1 << 0)
  public static let noCommonLRU = MapFlags(rawValue: 1 << 1)
  public static let readOnly = MapFlags(rawValue: 1 << 3)
  public static let writeOnly = MapFlags(rawValue: 1 << 4)
  public static let zeroSeed = MapFlags(rawValue: 1 << 6)
  public static let readOnlyForPrograms = MapFlags(rawValue: 1 << 7)
  public static let writeOnlyForPrograms = MapFlags(rawValue: 1 << 8)
  public static let memoryMapped = MapFlags(rawValue: 1 << 10)
  /// Inner maps of an array may differ in max_entries.
  public static let innerMap = MapFlags(rawValue: 1 << 12)
}

/// When an update may write: BPF_ANY, BPF_NOEXIST, BPF_EXIST.
public enum UpdateCondition: UInt64, Sendable {
  case any = 0
  case noExist = 1
  case exist = 2
}
