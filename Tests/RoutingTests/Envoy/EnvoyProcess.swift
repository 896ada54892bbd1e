import Foundation
import JSON
import TestSupport

/// One Envoy with a listener for each route configuration, all on Unix sockets in a folder of its own.
final class EnvoyProcess {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// `MARTLET_ENVOY` names the program; nil where there is none.
  static let program = ProcessInfo.processInfo.environment["MARTLET_ENVOY"].flatMap { $0.isEmpty ? nil : $0 }

  /// The clusters that configurations may name; each has a server of its own.
  static let clusters = ["ns/one", "ns/two", "ns/three", "ns/four:80"]

  private let process = Process()
  private let folder: TemporaryDirectory

  init(
    _ program: String, _ configurations: [JSONValue], filters: [[JSONValue]], suppressing: [Bool],
    folder: TemporaryDirectory
  ) throws {
    self.folder = folder
    let path = folder.path + "/envoy.json"
    let listeners = zip(configurations.indices, configurations).map { index, routes in
      EnvoyProcess.listener(index, routes, filters[index], suppresses: suppressing[index], folder.path)
    }
    let document: JSONValue = [
      "static_resources": ["listeners": .array(listeners), "clusters": .array(EnvoyProcess.clusters(folder.path))]
    ]
    try Data(document.serialized()).write(to: URL(filePath: path))
    _ = FileManager.default.createFile(atPath: folder.path + "/log", contents: nil)
    process.executableURL = URL(filePath: program)
    process.arguments = [
      "-c", path, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "--log-path",
      folder.path + "/log",
    ]
    process.standardError = FileHandle(forWritingAtPath: "/dev/null")
    try process.run()
    let deadline = Date.now.addingTimeInterval(120)
    let last = EnvoyProcess.socket(configurations.count - 1, folder.path)
    while true {
      if let connection = try? UnixConnection(to: last) {
        _ = connection
        break
      }
      guard process.isRunning, Date.now < deadline else {
        let log = (try? String(contentsOfFile: folder.path + "/log", encoding: .utf8)) ?? ""
        end()
        throw Failure(description: "Envoy does not serve: \(log)")
      }
      usleep(20_000)
    }
  }

  func end() {
    if process.isRunning {
      // Envoy inherits the signals that the test's thread does not take.
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
  }

  deinit { end() }

  static func socket(_ listener: Int, _ folder: String) -> String { "\(folder)/l\(listener)" }
  static func upstream(_ cluster: Int, _ folder: String) -> String { "\(folder)/u\(cluster)" }

  private static func address(_ path: String) -> JSONValue { ["pipe": ["path": .string(path)]] }

  static func listener(
    _ index: Int, _ routes: JSONValue, _ filters: [JSONValue], suppresses: Bool, _ folder: String
  ) -> JSONValue {
    let router: JSONValue = [
      "name": "router",
      "typed_config": [
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        "suppress_envoy_headers": .bool(suppresses),
      ],
    ]
    let manager: JSONValue = [
      "@type":
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      "stat_prefix": "l", "generate_request_id": false, "codec_type": "HTTP1", "route_config": routes,
      "http_filters": .array(filters + [router]),
    ]
    return [
      "name": .string("l\(index)"), "address": address(socket(index, folder)), "enable_reuse_port": false,
      "filter_chains": [["filters": [["name": "http", "typed_config": manager]]]],
    ]
  }

  private static func clusters(_ folder: String) -> [JSONValue] {
    clusters.enumerated().map { index, name in
      [
        "name": .string(name), "type": "STATIC",
        "load_assignment": [
          "cluster_name": .string(name),
          "endpoints": [["lb_endpoints": [["endpoint": ["address": address(upstream(index, folder))]]]]],
        ],
      ]
    }
  }
}
