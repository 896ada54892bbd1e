import Addressing
import BPF
import CNI
import ControlPlane
import Files
import Netlink

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What must be there before anything is touched; each missing thing is named.
struct Preflight {
  /// Effective user id, effective capabilities (capabilities(7), by number) and the kernel's answers; those of this machine
  /// unless a test says otherwise.
  var userID = geteuid()
  var capabilities = Preflight.effectiveCapabilities()
  var probe: @Sendable (Feature) -> Feature.Support = { $0.probe() }
  /// Whether a device carries Ethernet frames; nil when there is no such device.
  var deviceIsEthernet: @Sendable (String) -> Bool? = { name in
    (try? NetlinkHandle().interface(named: name)).flatMap { $0?.isEthernet }
  }

  private static let needed: [(bit: UInt64, name: String)] = [
    (12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN"), (38, "CAP_PERFMON"), (39, "CAP_BPF"),
  ]

  /// Maps, and helpers by their numbers in enum bpf_func_id of linux/bpf.h, that the programs can not do without.
  private static let features: [(feature: Feature, name: String)] = [
    (.mapType(.lpmTrie), "LPM trie maps (CONFIG_BPF_SYSCALL, Linux 4.11)"),
    (.mapType(.hashOfMaps), "maps of maps (Linux 4.12)"),
    (.mapType(.sockMap), "socket maps (CONFIG_BPF_STREAM_PARSER, Linux 4.14)"),
    (.ringBuffer, "BPF ring buffers (Linux 5.8)"),
    (.programType(.schedCLS), "traffic control programs (CONFIG_NET_CLS_BPF)"),
    (.helper(99, .schedCLS), "the helper skc_lookup_tcp (Linux 5.2)"),
    (.helper(124, .schedCLS), "the helper sk_assign (Linux 5.7)"),
    (.helper(155, .schedCLS), "the helper redirect_peer (Linux 5.10)"),
  ]

  func check(devices: [String]) throws(HostError) {
    guard userID == 0 else {
      throw HostError("must run as root: it loads BPF programs and makes network namespaces")
    }
    let missing = Preflight.needed.filter { capabilities & (1 << $0.bit) == 0 }.map(\.name)
    guard missing.isEmpty else {
      throw HostError("root lacks \(missing.joined(separator: ", ")): what starts Martlet has to leave it")
    }
    for device in devices {
      guard let isEthernet = deviceIsEthernet(device) else {
        throw HostError("--device: there is no network device \"\(device)\"; `ip link` lists them")
      }
      guard isEthernet else {
        throw HostError("--device: \"\(device)\" does not carry Ethernet frames; name the device below it")
      }
    }
    for (feature, name) in Preflight.features {
      if case .missing(let reason) = probe(feature) {
        throw HostError("this kernel can not run Martlet, which needs \(name): \(reason)")
      }
    }
  }

  /// What a state directory can not be used for.
  static func check(_ directory: StateDirectory) throws(HostError) {
    let sockets = [directory.agentSocket, directory.proxy.accessSocket, directory.proxy.nameSocket]
    if let socket = sockets.max(by: { $0.utf8.count < $1.utf8.count }), socket.utf8.count > longestSocketPath {
      throw HostError(
        "the state directory's path is too long: a socket's, such as \(socket), may have \(longestSocketPath) bytes and has "
          + "\(socket.utf8.count); give a shorter --state-dir")
    }
  }

  /// That no address is of two kinds.
  static func check(pods: [CIDR], services: [CIDR], balancers: [CIDR]) throws(HostError) {
    var blocks: [(option: String, block: CIDR)] = []
    for block in pods { blocks.append(("--pod-cidr", block)) }
    for block in services { blocks.append(("--service-cidr", block)) }
    for block in balancers { blocks.append(("--load-balancer-cidr", block)) }
    for (index, second) in blocks.enumerated() {
      for first in blocks[..<index] where first.block.contains(second.block) || second.block.contains(first.block) {
        throw HostError(
          "\(second.option) \(second.block) overlaps \(first.option) \(first.block); an address can be of one of them only"
        )
      }
    }
  }

  /// In bytes: sun_path without its NUL (unix(7)).
  private static let longestSocketPath = 107

  /// Whether a TCP port of 127.0.0.1 can be listened on.
  static func isPortFree(_ port: UInt16) -> Bool { Listening.problem("127.0.0.1", Int(port)) == nil }

  static func mountBPFFS() throws(HostError) {
    do throws(BPFError) { try BPFFS.ensureMounted() } catch {
      throw HostError("no BPF file system at /sys/fs/bpf: \(error)")
    }
  }

  /// CapEff of /proc/self/status; everything where that can not be read, so that the first failing call tells.
  private static func effectiveCapabilities() -> UInt64 {
    guard let text = try? StateFiles.read("/proc/self/status") else { return .max }
    let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("CapEff:") }
    return line?.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) } ?? .max
  }
}
