import Foundation
import TestSupport
import Testing

@testable import ControlPlane

@Suite(.timeLimit(.minutes(3))) struct ServingTests {
  static let curl: String? = ["/usr/bin/curl", "/usr/local/bin/curl"].first(
    where: FileManager.default.isExecutableFile(atPath:))

  func mode(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
  }

  @Test(.enabled(if: curl != nil, "curl is not installed"))
  func authentication() async throws {
    try await withServer { kubectl, controlPlane in
      let pki = controlPlane.configuration.stateDirectory + "/pki"
      func code(_ path: String, _ arguments: String...) async throws -> String {
        let all = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", pki + "/ca.crt"] + arguments
        return try await run(ServingTests.curl ?? "", all + [controlPlane.url + path], in: kubectl.directory).output
      }
      for path in ["/healthz", "/livez", "/readyz", "/version"] { #expect(try await code(path) == "200") }
      #expect(try await code("/api/v1/nodes") == "401")
      #expect(try await code("/openapi/v3") == "401")
      #expect(try await code("/api/v1/nodes", "-H", "Authorization: Bearer wrong") == "401")
      let token = try String(contentsOfFile: pki + "/token", encoding: .utf8).trimmingCharacters(in: .newlines)
      #expect(try await code("/api/v1/nodes", "-H", "Authorization: Bearer \(token)") == "200")
      #expect(try await code("/api/v1/nodes", "--cert", pki + "/admin.crt", "--key", pki + "/admin.key") == "200")
      // A certificate of another authority is refused by the handshake.
      let stranger = try TemporaryDirectory()
      _ = try PKI(directory: stranger.path, names: ["localhost"])
      #expect(
        try await code("/api/v1/nodes", "--cert", stranger.path + "/admin.crt", "--key", stranger.path + "/admin.key")
          != "200")
      #expect(try mode(controlPlane.kubeconfigPath) == 0o600)
      for file in ["state.db", "state.db-wal", "apiserver.lock"] {
        #expect(try mode("\(controlPlane.configuration.stateDirectory)/\(file)") == 0o600, "\(file)")
      }
      for file in try FileManager.default.contentsOfDirectory(atPath: pki) {
        #expect(try mode("\(pki)/\(file)") == 0o600, "\(file)")
      }
    }
  }

  @Test(.enabled(if: Kubectl.path != nil, "kubectl is not on PATH"))
  func restartsKeepObjectsAndKeys() async throws {
    let state = try TemporaryDirectory()
    var kubeconfigs: [String] = []
    var uids: [String] = []
    for round in 0..<2 {
      try await withServer(state) { kubectl, controlPlane in
        if round == 0 { try await kubectl("create", "configmap", "kept") }
        kubeconfigs.append(
          try String(contentsOfFile: controlPlane.configuration.stateDirectory + "/pki/token", encoding: .utf8))
        uids.append(try await kubectl.ok("get", "cm", "kept", "-o", "jsonpath={.metadata.uid}"))
      }
    }
    #expect(Set(kubeconfigs).count == 1)
    #expect(Set(uids).count == 1)
  }

  @Test(.enabled(if: Kubectl.path != nil, "kubectl is not on PATH"))
  func anOpenWatchDoesNotHoldUpTheEnd() async throws {
    let start = ContinuousClock.now
    let state = try TemporaryDirectory()
    let directory = try TemporaryDirectory()
    var watching: Task<CommandResult, any Error>?
    try await withServer(state) { kubectl, controlPlane in
      let kubeconfig = controlPlane.kubeconfigPath
      watching = Task {
        try await run(
          Kubectl.path ?? "", ["get", "cm", "-w"], in: directory, environment: ["KUBECONFIG": kubeconfig])
      }
      try await Task.sleep(for: .seconds(1))
    }
    #expect(ContinuousClock.now - start < .seconds(20))
    _ = try await watching?.value
  }

  @Test(
    arguments: [
      ("labelSelector=app+in+%28web%2Cclient%29&limit=500", ["labelSelector": "app in (web,client)", "limit": "500"]),
      ("a=1%2B1&a=2&b&c=", ["a": "1+1", "b": "", "c": ""]), ("", [:]), ("x=%zz", ["x": "%zz"]),
      ("e=a=b", ["e": "a=b"]),
    ] as [(String, [String: String])])
  func queries(_ text: String, _ parameters: [String: String]) {
    #expect(HTTPServer.query(text) == parameters)
  }

  @Test func aDatabaseThatCanNotBeReadIsNamed() async throws {
    let state = try TemporaryDirectory()
    try FileManager.default.createDirectory(atPath: state.path + "/state", withIntermediateDirectories: true)
    let path = state.path + "/state/state.db"
    try String(repeating: "no database ", count: 1000).write(toFile: path, atomically: true, encoding: .utf8)
    let error = await #expect(throws: ControlPlaneError.self) { try await withServer(state) { _, _ in } }
    #expect(error?.description.contains(path) == true && error?.description.contains("move it") == true)
  }

  @Test func aTakenPortIsNamed() async throws {
    try await withServer { _, first in
      let port = try #require(first.port)
      do {
        try await withServer(configure: { $0.port = port }) { _, _ in Issue.record("must not start") }
      } catch let error as ControlPlaneError {
        #expect(error.description.contains("127.0.0.1:\(port)"))
      }
    }
  }

  @Test func aStateDirectoryHasOneUser() async throws {
    let state = try TemporaryDirectory()
    try await withServer(state) { _, _ in
      await #expect(throws: ControlPlaneError.self) {
        try await withServer(state) { _, _ in Issue.record("must not start") }
      }
    }
  }
}
