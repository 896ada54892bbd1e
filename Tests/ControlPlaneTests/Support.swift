import Addressing
import ControlPlane
import Foundation
import JSON
import Logging
import TestSupport
import Testing

@testable import ControlPlane

func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: text) }

extension TemporaryDirectory {
  func write(_ text: String, as name: String) throws -> String {
    let file = "\(path)/\(name)"
    try text.write(toFile: file, atomically: true, encoding: .utf8)
    return file
  }
}

struct CommandResult: Sendable {
  let status: Int32
  let output: String
  let errors: String

  var all: String { output + errors }
}

/// Runs a program without blocking the threads that the server in this process needs.
func run(
  _ program: String, _ arguments: [String], in directory: TemporaryDirectory, environment: [String: String] = [:],
  input: String = ""
) async throws -> CommandResult {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  process.currentDirectoryURL = URL(fileURLWithPath: directory.path)
  process.environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "", "HOME": directory.path]
    .merging(environment) { $1 }
  let id = UUID().uuidString
  let files = try ["in", "out", "err"].map { name in try directory.write(name == "in" ? input : "", as: "\(id).\(name)")
  }
  process.standardInput = FileHandle(forReadingAtPath: files[0])
  process.standardOutput = FileHandle(forWritingAtPath: files[1])
  process.standardError = FileHandle(forWritingAtPath: files[2])
  let (ended, continuation) = AsyncStream<Int32>.makeStream()
  process.terminationHandler = { process in
    continuation.yield(process.terminationStatus)
    continuation.finish()
  }
  try process.run()
  let status = await ended.first { _ in true } ?? -1
  return CommandResult(
    status: status, output: try String(contentsOfFile: files[1], encoding: .utf8),
    errors: try String(contentsOfFile: files[2], encoding: .utf8))
}

/// kubectl against one server.
struct Kubectl: Sendable {
  static let path: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    .map { "\($0)/kubectl" }.first { FileManager.default.isExecutableFile(atPath: $0) }

  let directory: TemporaryDirectory
  let kubeconfig: String

  @discardableResult
  func callAsFunction(_ arguments: String..., input: String = "", editor: String? = nil) async throws -> CommandResult {
    var environment = ["KUBECONFIG": kubeconfig]
    if let editor { environment["EDITOR"] = editor }
    return try await run(
      Kubectl.path ?? "kubectl", arguments, in: directory, environment: environment, input: input)
  }

  /// The output of a command that must succeed.
  func ok(_ arguments: String..., input: String = "", location: SourceLocation = #_sourceLocation) async throws
    -> String
  {
    let result = try await run(
      Kubectl.path ?? "kubectl", arguments, in: directory, environment: ["KUBECONFIG": kubeconfig], input: input)
    #expect(
      result.status == 0, "kubectl \(arguments.joined(separator: " ")): \(result.errors)", sourceLocation: location)
    return result.output
  }
}

/// Runs a server on a free port while `body` uses it.
func withServer(
  _ state: TemporaryDirectory? = nil, configure: (inout ControlPlaneConfiguration) -> Void = { _ in },
  _ body: (Kubectl, ControlPlane) async throws -> Void
) async throws {
  let directory = try TemporaryDirectory()
  var configuration = ControlPlaneConfiguration(stateDirectory: "\((state ?? directory).path)/state")
  configuration.port = 0
  configure(&configuration)
  var logger = Logger(label: "test")
  logger.logLevel = .warning
  let controlPlane = try await ControlPlane(configuration: configuration, logger: logger)
  let (ready, continuation) = AsyncStream<Void>.makeStream()
  let serving = Task {
    defer { continuation.finish() }
    try await controlPlane.run { continuation.yield() }
  }
  guard await ready.first(where: { true }) != nil else { return try await serving.value }
  let result: Result<Void, any Error>
  do {
    result = .success(
      try await body(Kubectl(directory: directory, kubeconfig: controlPlane.kubeconfigPath), controlPlane))
  } catch {
    result = .failure(error)
  }
  serving.cancel()
  try await serving.value
  try result.get()
}

/// An API server without sockets.
func makeServer(
  path: String? = nil, historyLimit: Int = 10_000, services: ServiceStrategy = testServices
) throws -> APIServer {
  let builtin = try BuiltinResources()
  let selectable = Dictionary(builtin.resources.map { ($0.qualifiedName, $0.selectable) }) { first, _ in first }
  let store = try Store(path: path, historyLimit: historyLimit) { selectable[$0] ?? [] }
  let server = APIServer(
    store: store, builtin: builtin, services: services, logger: Logger(label: "test"))
  try server.bootstrap()
  return server
}

extension APIServer {
  /// Sends a request and gives the code and the body.
  func send(
    _ method: APIRequest.Method, _ path: String, _ body: JSONValue? = nil, query: [String: String] = [:],
    type: String = "application/json", accept: String = ""
  ) async throws -> (code: Int, body: JSONValue) {
    let request = APIRequest(
      method: method, path: path.split(separator: "/").map(String.init), query: query, accept: accept,
      contentType: type, userAgent: "test/1", body: body?.serialized() ?? [])
    let response = await respond(to: request)
    switch response.body {
    case .bytes(let bytes):
      return (
        response.code,
        bytes.isEmpty ? .null : (try? JSONValue(parsing: bytes)) ?? .string(String(decoding: bytes, as: UTF8.self))
      )
    case .stream(let produce):
      var sink: any ByteSink = Collector()
      try await produce(&sink)
      return (response.code, .array((sink as? Collector)?.lines ?? []))
    }
  }
}

struct Collector: ByteSink {
  var bytes: [UInt8] = []

  mutating func write(_ bytes: [UInt8]) { self.bytes += bytes }

  var lines: [JSONValue] { bytes.split(separator: 10).compactMap { try? JSONValue(parsing: $0) } }
}

let testServices = ServiceStrategy(
  network: ServiceNetwork(
    clusterRanges: ControlPlaneConfiguration.defaultServiceCIDRs.compactMap { CIDR($0) },
    nodePorts: ControlPlaneConfiguration.defaultNodePorts))
