import Addressing
import BPF
import CMartletABI
import KernelABI
import Netlink
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Tells clients that their backend has gone: ends the connected sockets that were led to it, in every namespace of the
/// node. Their programs get ECONNABORTED and connect anew, which leads them to another backend.
public final class SocketTermination: Sendable {
  private let maps: [String: RawMap]
  private let iterator = Mutex<Link?>(nil)

  /// - Parameter maps: those of the pods' programs.
  init(maps: [String: RawMap]) { self.maps = maps }

  /// A socket that was led to a backend and still talks to it.
  public struct BalancedSocket: Hashable, Sendable {
    public let namespaceCookie: UInt64
    public let socket: ConnectedSocket
    public let service: UInt32
    public let backend: UInt32
  }

  public struct Outcome: Hashable, Sendable {
    /// Sockets that were ended.
    public var ended = 0
    /// Sockets in namespaces that were not given.
    public var unreachable = 0
    /// What the kernel refused, with the first reason.
    public var failed = 0
    public var failure: String?
  }

  /// The connected sockets of all namespaces, by one walk over those that were balanced. Needs the kernel's BTF.
  public func sockets() throws -> [BalancedSocket] {
    let bytes = try iterator.withLock { iterator in
      let link = try iterator ?? makeIterator()
      iterator = link
      return try link.readAll()
    }
    let size = MemoryLayout<martlet_balanced_socket>.size
    return bytes.withUnsafeBytes { bytes in
      stride(from: 0, through: bytes.count - size, by: size).compactMap {
        BalancedSocket(bytes.loadUnaligned(fromByteOffset: $0, as: martlet_balanced_socket.self))
      }
    }
  }

  private func makeIterator() throws -> Link {
    let object = try ObjectSpecification(bytes: BPFObjects.socketList, name: "socketlist").load(reusing: maps)
    return try Link.iterator(object.program("balanced_sockets"), over: object.map(MapName.sockets.rawValue))
  }

  /// Ends the sockets whose backend is among these numbers.
  ///
  /// To be called when the tables name the backends no more, and again when the old tables are removed: a client may have
  /// read them just before.
  ///
  /// - Parameter namespaces: those of the node and its pods; asked for only when there is a socket to end.
  @discardableResult
  public func terminate(backends: Set<UInt32>, namespaces: () throws -> [NetworkNamespace]) throws -> Outcome {
    var outcome = Outcome()
    if backends.isEmpty { return outcome }
    var left = Dictionary(grouping: try sockets().filter { backends.contains($0.backend) }, by: \.namespaceCookie)
    if left.isEmpty { return outcome }
    for namespace in try namespaces() where !left.isEmpty {
      // A namespace that ends meanwhile takes its sockets with it.
      guard let cookie = try? namespace.cookie(), let sockets = left.removeValue(forKey: cookie) else { continue }
      let destruction = try SocketDestruction(in: namespace)
      for socket in sockets {
        do throws(NetlinkError) {
          if try destruction.destroy(socket.socket) { outcome.ended += 1 }
        } catch {
          outcome.failed += 1
          outcome.failure = outcome.failure ?? "\(error)"
        }
      }
    }
    outcome.unreachable = left.values.reduce(0) { $0 + $1.count }
    return outcome
  }
}

extension SocketTermination.BalancedSocket {
  /// nil for a protocol whose sockets can not be ended.
  init?(_ entry: martlet_balanced_socket) {
    guard let transport = ConnectedSocket.Transport(rawValue: UInt8(truncatingIfNeeded: entry.protocol)) else {
      return nil
    }
    namespaceCookie = entry.netns_cookie
    service = entry.service
    backend = entry.backend
    socket = ConnectedSocket(
      transport: transport, isIPv6Socket: entry.family == UInt16(AF_INET6), source: IPAddress(entry.source),
      sourcePort: UInt16(bigEndian: entry.source_port), destination: IPAddress(entry.destination),
      destinationPort: UInt16(bigEndian: entry.destination_port), boundInterfaceIndex: entry.bound_ifindex,
      cookie: entry.cookie)
  }
}
