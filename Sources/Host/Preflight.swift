import BPF

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What must be there before anything is touched; each missing thing is named.
enum Preflight {
  static func check() throws(HostError) {
    guard geteuid() == 0 else {
      throw HostError("must run as root: it loads BPF programs and makes network namespaces")
    }
    do throws(BPFError) { try BPFFS.ensureMounted() } catch {
      throw HostError("no BPF file system at /sys/fs/bpf: \(error)")
    }
  }
}
