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

  /// Whether the pinned attachment is in force in the calling thread's network namespace.
  public func isAttached() throws -> Bool {
    guard access(pins.proxyLookup, F_OK) == 0 else { return false }
    let program = try Link.fromPin(pins.proxyLookup).info().programID
    return try ProxyLookup.onNamespace { try Link.programs(onNamespace: $0).contains(program) }
  }

  private static func onNamespace<Success>(_ body: (Int32) throws -> Success) throws -> Success {
    let path = "/proc/thread-self/ns/net"
    let namespace = open(path, O_RDONLY | O_CLOEXEC)
    guard namespace >= 0 else { throw BPFError(call: "open", errno: errno, detail: path) }
    defer { close(namespace) }
    return try body(namespace)
  }

  /// Attaches the program to the calling thread's network namespace, in place of that of an earlier process.
  public func attach() throws {
    let object = try ObjectSpecification(bytes: BPFObjects.proxy, name: "proxy").load(reusing: maps)
    let program = try object.program("proxy_lookup")
    try program.pin(at: pins.programs + "/proxy_lookup", replacing: true)
    // A namespace takes several programs, so the old one stays until the new one is there; and the node's namespace may
    // be another one than that of the earlier process.
    try ProxyLookup.onNamespace {
      try Link.networkNamespace(program, descriptor: $0).pin(at: pins.proxyLookup, replacing: true)
    }
  }
}
