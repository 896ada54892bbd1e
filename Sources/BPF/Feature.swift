import CLibBPF
import Glibc

/// Something of the kernel that a program or a tool may need.
public enum Feature: Sendable, Hashable {
  case programType(ProgramType)
  case mapType(MapType)
  /// A helper by its number (enum bpf_func_id), in programs of a type.
  case helper(UInt32, ProgramType)
  /// Links on devices' traffic control hooks (Linux 6.6).
  case tcx
  /// BPF_MAP_TYPE_RINGBUF (Linux 5.8).
  case ringBuffer
  /// The kernel's own types (CONFIG_DEBUG_INFO_BTF).
  case kernelBTF

  public enum Support: Sendable, Hashable {
    case supported
    /// With a sentence that says what is missing or why the question could not be answered.
    case missing(reason: String)

    public var isSupported: Bool { self == .supported }
  }

  /// Asks the running kernel. Needs CAP_BPF and CAP_NET_ADMIN.
  public func probe() -> Support {
    switch self {
    case .programType(let type):
      answer({ libbpf_probe_bpf_prog_type(type.kernel, nil) }, "programs of type \(type)")
    case .mapType(let type):
      answer({ libbpf_probe_bpf_map_type(type.kernel, nil) }, "maps of type \(type)")
    case .helper(let number, let type):
      answer(
        { libbpf_probe_bpf_helper(type.kernel, bpf_func_id(rawValue: number), nil) },
        "helper \(number) in programs of type \(type)")
    case .ringBuffer:
      Feature.mapType(.ringBuffer).probe()
    case .tcx:
      probeTCX()
    case .kernelBTF:
      access("/sys/kernel/btf/vmlinux", R_OK) == 0
        ? .supported : .missing(reason: "the kernel has no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)")
    }
  }

  private func answer(_ question: () -> Int32, _ what: String) -> Support {
    let (result, _) = LibBPFOutput.capture(question)
    return switch result {
    case 1: .supported
    case 0: .missing(reason: "the kernel does not have \(what)")
    default: .missing(reason: "asking for \(what) failed: \(String(cString: strerror(-result)))")
    }
  }

  /// Asks the loopback device, whose index is 1 in every network namespace, what is attached to it.
  private func probeTCX() -> Support {
    var count: UInt32 = 0
    let result = bpf_prog_query(1, AttachType.tcxIngress.kernel, 0, nil, nil, &count)
    switch -result {
    case 0, ENOENT, ENOSPC: return .supported
    case EINVAL: return .missing(reason: "the kernel does not have tcx links (Linux 6.6)")
    default: return .missing(reason: "asking for tcx failed: \(String(cString: strerror(-result)))")
    }
  }
}
