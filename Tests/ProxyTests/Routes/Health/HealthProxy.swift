import JSON
import Logging
import Synchronization

@testable import Proxy

/// A proxy whose one cluster is watched.
final class HealthProxy: Sendable {
  let proxy: RoutedProxy
  let lines: LogLines
  private let task: Task<Void, any Error>

  init(_ endpoints: [JSONValue], _ cluster: [String: JSONValue], host: String = "127.0.0.1") throws {
    proxy = try RoutedProxy(
      [Routes.to("c")], [:], host: host, resources: [Routes.cluster("c", endpoints, cluster)])
    let lines = LogLines()
    self.lines = lines
    let logger = Logger(label: "health") { _ in lines }
    let watch = try HealthWatch(routes: proxy.server.routes, logger: logger)
    task = Task { try await watch.run() }
  }

  var cluster: RoutedCluster? { proxy.server.routes.current.listeners[7]?.cluster("c") }

  /// How the endpoint at an address is by what the proxy goes by.
  func health(_ address: SocketAddress) -> EndpointHealth.Verdict? {
    guard let cluster, let index = cluster.endpoints.firstIndex(where: { $0.address == address }) else { return nil }
    return cluster.serving.health[index]
  }

  func metric(_ name: String, _ labels: [String: String] = [:]) -> Double {
    let family = proxy.server.routes.metrics.first { $0.name == name }
    let samples = family?.samples.filter { sample in labels.allSatisfy { sample.labels[$0.key] == $0.value } } ?? []
    return samples.reduce(0) { $0 + $1.value }
  }

  /// The status of the answer to one request.
  func status(_ path: String = "/") -> Int? {
    proxy.ask("GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?.head.split(separator: " ").dropFirst()
      .first.flatMap { Int($0) }
  }

  func stop() async {
    task.cancel()
    _ = try? await task.value
    await proxy.stop()
  }

  deinit { task.cancel() }
}

/// What was logged.
final class LogLines: LogHandler, Sendable {
  private let lines = Mutex<[String]>([])

  var all: [String] { lines.withLock { $0 } }

  func log(event: LogEvent) { lines.withLock { $0.append("\(event.level) \(event.message)") } }

  var metadata: Logger.Metadata {
    get { [:] }
    set {}
  }
  var logLevel: Logger.Level {
    get { .trace }
    set {}
  }

  subscript(metadataKey _: String) -> Logger.Metadata.Value? {
    get { nil }
    set {}
  }
}
