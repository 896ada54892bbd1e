import Addressing
import Files
import Glibc
import JSON
import Logging
import Synchronization

/// What the embedded control plane needs to know.
public struct ControlPlaneConfiguration: Sendable {
  /// Where the database, the keys and the kubeconfig live; made when it is missing.
  public var stateDirectory: String
  /// The address to listen on.
  public var address = "127.0.0.1"
  /// The TCP port to listen on; 0 picks a free one.
  public var port = 6443
  /// The name of the cluster in the kubeconfig.
  public var clusterName = "martlet"
  /// The name of this host's Node; a name of the server's certificate.
  public var nodeName = ""
  /// The addresses of pods, one range of each family.
  public var podCIDRs: [String] = []
  /// The addresses of services, one range of each family; the first one's family is the default.
  public var serviceCIDRs = ControlPlaneConfiguration.defaultServiceCIDRs
  /// The ports that services get on nodes.
  public var nodePorts: ClosedRange<UInt16> = ControlPlaneConfiguration.defaultNodePorts
  /// The addresses that services of the type LoadBalancer get; without one they wait for another load balancer.
  public var loadBalancerCIDRs: [String] = []
  /// How many events watches can resume over.
  public var historyLimit = 10_000
  /// Answers `kubectl logs`; nil when the pod has no log.
  public var podLog: @Sendable (PodLogRequest) async throws -> PodLog? = { _ in nil }

  public init(stateDirectory: String) { self.stateDirectory = stateDirectory }

  public static let defaultServiceCIDRs = ["10.96.0.0/16", "fd00:10:96::/112"]
  public static let defaultNodePorts: ClosedRange<UInt16> = 30_000...32_767

  fileprivate func services() throws(ControlPlaneError) -> ServiceStrategy {
    func blocks(_ texts: [String]) throws(ControlPlaneError) -> [CIDR] {
      var blocks: [CIDR] = []
      for text in texts {
        guard let block = CIDR(text) else { throw ControlPlaneError(description: "\"\(text)\" is not a CIDR") }
        blocks.append(block)
      }
      return blocks
    }
    return ServiceStrategy(
      network: ServiceNetwork(
        clusterRanges: try blocks(serviceCIDRs), nodePorts: nodePorts,
        loadBalancerRanges: try blocks(loadBalancerCIDRs)))
  }
}

/// Why the control plane can not start.
public struct ControlPlaneError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
}

/// A Kubernetes API server on SQLite.
///
///     var configuration = ControlPlaneConfiguration(stateDirectory: "/var/lib/martlet")
///     configuration.port = 6443
///     let controlPlane = try await ControlPlane(configuration: configuration, logger: logger)
///     try await controlPlane.run()  // until the task is cancelled
public final class ControlPlane: Sendable {
  public let configuration: ControlPlaneConfiguration
  private let logger: Logger
  private let server: APIServer
  private let pki: PKI
  private let boundPort = Mutex<Int?>(nil)
  /// Keeps two servers from using one state directory.
  private let lock: FileLock

  /// Opens the state directory, makes what is missing in it, and stores the objects that every cluster has.
  ///
  /// Throws when the directory can not be used, or another process uses it.
  public init(configuration: ControlPlaneConfiguration, logger: Logger) async throws {
    self.configuration = configuration
    self.logger = logger
    let directory = configuration.stateDirectory
    try StateFiles.makeDirectories(directory)
    let lockPath = "\(directory)/apiserver.lock"
    guard let lock = try FileLock(lockPath) else {
      throw ControlPlaneError(description: "another control plane uses the state directory (\(lockPath) is locked)")
    }
    self.lock = lock
    let names = [
      "127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
      "kubernetes.default.svc.cluster.local", configuration.address, configuration.nodeName,
    ]
    pki = try PKI(
      directory: "\(directory)/pki",
      names: names.reduce(into: []) { list, name in if !name.isEmpty, !list.contains(name) { list.append(name) } })
    let builtin = try BuiltinResources()
    let selectable = Dictionary(builtin.resources.map { ($0.qualifiedName, $0.selectable) }) { first, _ in first }
    let database = "\(directory)/state.db"
    // SQLite gives its other files the mode of this one, and Secrets are in them.
    try StateFiles.create(database)
    let store: Store
    do {
      store = try Store(path: database, historyLimit: configuration.historyLimit) { selectable[$0] ?? [] }
    } catch {
      throw ControlPlaneError(
        description:
          "the objects in \(database) can not be read: \(error); put back a copy of it, or move it and its -wal "
          + "and -shm files away to begin with an empty cluster")
    }
    server = APIServer(
      store: store, builtin: builtin, services: try configuration.services(), logger: logger,
      podLog: configuration.podLog)
    try server.bootstrap()
  }

  /// The port that the server listens on; nil before it does.
  public var port: Int? { boundPort.withLock { $0 } }

  /// The address of the server as clients write it.
  public var url: String {
    let host = configuration.address.contains(":") ? "[\(configuration.address)]" : configuration.address
    return "https://\(host):\(port ?? configuration.port)"
  }

  /// A kubeconfig for the administrator of this server.
  public var kubeconfig: String { Kubeconfig.text(cluster: configuration.clusterName, server: url, pki: pki) }

  /// Where the kubeconfig is written, mode 0600.
  public var kubeconfigPath: String { "\(configuration.stateDirectory)/kubeconfig" }

  /// Serves until the task is cancelled. `onReady` is called once requests are answered and the kubeconfig is written.
  public func run(onReady: @escaping @Sendable () async -> Void = {}) async throws {
    try checkPort()
    let http = HTTPServer(server: server, authentication: Authentication(token: pki.token), pki: pki, logger: logger)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [self] in
        try await http.run(address: configuration.address, port: configuration.port) { [self] port in
          boundPort.withLock { $0 = port }
          do {
            try server.publishItself(address: configuration.address, port: port)
            try StateFiles.write(Array(kubeconfig.utf8), to: kubeconfigPath)
          } catch {
            logger.error("\(error)")
          }
          await onReady()
        }
      }
      group.addTask { [self] in
        // Watches would keep a shutdown waiting: they end as soon as it begins.
        defer { server.store.endWatches() }
        // Deadlines are kept to a few seconds; bookmarks come about every minute.
        for round in 1... {
          try await Task.sleep(for: .seconds(5))
          server.store.tick(bookmarks: round % 12 == 0)
          if let port { try server.publishItself(address: configuration.address, port: port) }
        }
      }
      do {
        try await group.next()
      } catch is CancellationError {}
      group.cancelAll()
      server.store.endWatches()
      while true {
        do {
          guard try await group.next() != nil else { break }
        } catch is CancellationError {}
      }
    }
  }

  /// Says clearly when the port is taken; the server's own error would not name it.
  private func checkPort() throws {
    guard configuration.port != 0, let problem = Listening.problem(configuration.address, configuration.port) else {
      return
    }
    throw ControlPlaneError(
      description: "cannot listen on \(configuration.address):\(configuration.port): \(problem); "
        + "choose another address with --api-address")
  }
}

public enum Listening {
  /// Why a TCP port can not be listened on; nil when it can.
  public static func problem(_ address: String, _ port: Int) -> String? {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address, String(port), &hints, &list) == 0, let first = list else { return nil }
    defer { freeaddrinfo(list) }
    let socket = socket(first.pointee.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { return String(cString: strerror(errno)) }
    defer { close(socket) }
    var one: Int32 = 1
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    if bind(socket, first.pointee.ai_addr, first.pointee.ai_addrlen) != 0 { return String(cString: strerror(errno)) }
    if listen(socket, 1) != 0 { return String(cString: strerror(errno)) }
    return nil
  }
}
