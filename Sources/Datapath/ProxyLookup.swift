import BPF

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The program that tells the node's stack of the proxy's listener, where the stack looks for one by itself: a client's new
/// connection from the addresses and ports of one that has just ended.
public struct ProxyLookup: Sendable {
  private let pins: DatapathPins
  private let maps: [String: RawMap]

  /// - Parameter maps: those of the pods' programs.
  init(pins: DatapathPins, maps: [String: RawMap]) {
    self.pins = pins
    self.maps = maps
  }

  /// Attaches the program to the calling thread's network namespace, in place of that of an earlier process.
  public func attach() throws {
    let object = try ObjectSpecification(bytes: BPFObjects.proxy, name: "proxy").load(reusing: maps)
    let program = try object.program("proxy_lookup")
    try program.pin(at: pins.programs + "/proxy_lookup", replacing: true)
    let path = "/proc/thread-self/ns/net"
    let namespace = open(path, O_RDONLY | O_CLOEXEC)
    guard namespace >= 0 else { throw BPFError(call: "open", errno: errno, detail: path) }
    defer { close(namespace) }
    // A namespace takes several programs, so the old one stays until the new one is there; and the node's namespace may
    // be another one than that of the earlier process.
    try Link.networkNamespace(program, descriptor: namespace).pin(at: pins.proxyLookup, replacing: true)
  }
}
