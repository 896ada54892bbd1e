import Addressing
import CNI
import Dispatch
import Glibc
import JSON
import NodeAPI
import Synchronization
import TestSupport
import Testing

/// The plugin and an agent over a real socket.
@Suite struct NodeCNIAgentTests {
  /// Answers as an agent does and keeps what it understood.
  final class Agent: Sendable {
    let directory: TemporaryDirectory
    let calls = Mutex<[CNICall]>([])
    let failure: CNIError?
    private let server = Mutex<NodeServer?>(nil)

    init(failure: CNIError? = nil) throws {
      self.failure = failure
      directory = try TemporaryDirectory()
      let server = try NodeServer(socketPath: directory.path + "/agent.sock") { [weak self] request in
        self?.answer(request) ?? .error("gone")
      }
      self.server.withLock { $0 = server }
    }

    deinit { server.withLock { $0?.stop() } }

    private func answer(_ request: NodeRequest) -> NodeResponse {
      guard request.method == "POST", request.path == "/v1/cni", let document = try? request.json(),
        let request = try? CNIRequest(decoding: JSONCursor(document))
      else { return .error("bad request", code: 400) }
      do throws(CNIError) {
        if let failure { throw failure }
        let call = try CNICall(request)
        calls.withLock { $0.append(call) }
        if case .add = call { return .json(CNIReply.success(FakeAgent.result)) }
        return .json(CNIReply.success())
      } catch {
        return .json(CNIReply.failure(error))
      }
    }

    /// Off the cooperative threads, which the server's handlers need.
    func run(_ command: String, _ extra: [String: JSONValue] = [:]) async -> CNIOutcome {
      await withCheckedContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(returning: self.runBlocking(command, extra)) }
      }
    }

    private func runBlocking(_ command: String, _ extra: [String: JSONValue]) -> CNIOutcome {
      var environment = CNIPluginTests.environment
      environment["CNI_COMMAND"] = command
      environment["MARTLET_STATE_DIR"] = directory.path
      var configuration: JSONValue = ["cniVersion": "1.1.0", "name": "net", "type": "martlet", "mtu": 1400]
      for (key, value) in extra { configuration[key] = value }
      return CNIPlugin.run(environment: environment, stdin: configuration.serialized())
    }
  }

  @Test func everyCommandReachesTheAgent() async throws {
    let agent = try Agent()
    let added = await agent.run("ADD")
    #expect(added.exitCode == 0)
    #expect(try JSONValue(parsing: added.output) == FakeAgent.result.json(version: .v110))
    #expect(await agent.run("CHECK", ["prevResult": FakeAgent.result.json(version: .v110)]).exitCode == 0)
    #expect(await agent.run("STATUS").exitCode == 0)
    #expect(
      await agent.run("GC", ["cni.dev/valid-attachments": [["containerID": "a", "ifname": "eth0"]]]).exitCode == 0)
    #expect(await agent.run("DEL").exitCode == 0)
    let calls = agent.calls.withLock { $0 }
    try #require(calls.count == 5)
    guard case .add(let invocation, let configuration) = calls[0], case .check(_, let checked) = calls[1] else {
      Issue.record("unexpected calls \(calls)")
      return
    }
    #expect(invocation.podName == "web" && invocation.podNamespace == "default" && invocation.podUID == "u1")
    #expect(invocation.netns == "/run/netns/a" && configuration.mtu == 1400)
    #expect(checked.previousResult == FakeAgent.result)
    #expect(calls[2] == .status)
    #expect(
      calls[3]
        == .collectGarbage(network: "net", keeping: [CNIAttachmentKey(containerID: "a", interfaceName: "eth0")]))
    #expect(calls[4] == .delete(CNIAttachmentKey(containerID: "c1", interfaceName: "eth0")))
  }

  @Test(arguments: CNIError.Code.allCases)
  func codesSurviveTheSocket(code: CNIError.Code) async throws {
    let agent = try Agent(failure: CNIError(code, "no", details: "because"))
    let outcome = await agent.run("ADD")
    #expect(outcome.exitCode == 1)
    let document = try JSONValue(parsing: outcome.output)
    #expect(
      document == ["cniVersion": "1.1.0", "code": .integer(code.rawValue), "msg": "no", "details": "because"])
  }
}
