import CNI
import Glibc
import JSON
import TestSupport
import Testing

@Suite struct CNIPluginTests {
  static let environment = [
    "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/a", "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin",
    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=u1",
  ]

  func run(
    _ command: String, _ configuration: JSONValue? = nil, environment changes: [String: String] = [:],
    version: String = "1.1.0", agent: FakeAgent = FakeAgent()
  ) throws -> (document: JSONValue, exit: Int32) {
    var environment = CNIPluginTests.environment.merging(changes) { _, new in new }
    environment["CNI_COMMAND"] = command
    let stdin = configuration ?? ["cniVersion": .string(version), "name": "net", "type": "martlet"]
    let outcome = CNIPlugin.run(environment: environment, stdin: stdin.serialized()) {
      agent.socket = $0
      return agent
    }
    return (outcome.output.isEmpty ? .null : try JSONValue(parsing: outcome.output), outcome.exitCode)
  }

  @Test(arguments: CNIVersion.allCases)
  func addAnswersInTheCallersVersion(version: CNIVersion) throws {
    let agent = FakeAgent()
    let (document, exit) = try run("ADD", version: version.rawValue, agent: agent)
    #expect(exit == 0)
    #expect(agent.calls == ["add c1/eth0 /run/netns/a default/web"])
    #expect(agent.socket == "/var/lib/martlet/agent.sock")
    #expect(document["cniVersion"] == .string(version.rawValue))
    let ips = try #require(document["ips"]?.arrayValue)
    #expect(ips.map { $0["address"] } == ["10.0.0.2/32", "fd00::2/128"])
    #expect(ips.map { $0["gateway"] } == ["169.254.1.1", "fe80::1"])
    #expect(ips.map { $0["interface"] } == [1, 1])
    #expect(ips.map { $0["version"] } == (version < .v100 ? ["4", "6"] : [nil, nil]))
    let interfaces = try #require(document["interfaces"]?.arrayValue)
    #expect(interfaces.map { $0["name"] } == ["mlt01234567", "eth0"])
    #expect(interfaces.map { $0["sandbox"] } == [nil, "/run/netns/a"])
    #expect(interfaces.map { $0["mtu"] } == (version < .v110 ? [nil, nil] : [1500, 1500]))
    #expect(document["routes"]?.arrayValue?.map { $0["dst"] } == ["0.0.0.0/0", "::/0"])
    // What ADD answered is what CHECK brings back.
    #expect(try AttachmentResult(JSONCursor(document)).json(version: version) == document)
  }

  @Test(
    arguments: [
      ("ADD", "0.3.1", nil), ("DEL", "0.3.1", nil), ("CHECK", "0.3.1", 1), ("STATUS", "0.3.1", 1), ("GC", "0.3.1", 1),
      ("CHECK", "0.4.0", nil), ("STATUS", "0.4.0", 1), ("GC", "0.4.0", 1), ("CHECK", "1.0.0", nil),
      ("STATUS", "1.0.0", 1), ("GC", "1.0.0", 1), ("CHECK", "1.1.0", nil), ("STATUS", "1.1.0", nil),
      ("GC", "1.1.0", nil),
      ("ADD", "0.2.0", 1), ("ADD", "2.0.0", 1), ("DEL", "0.1.0", 1),
    ] as [(String, String, Int64?)])
  func commandsByVersion(command: String, version: String, code: Int64?) throws {
    let configuration: JSONValue = [
      "cniVersion": .string(version), "name": "net", "type": "martlet",
      "prevResult": command == "CHECK" ? FakeAgent.result.json(version: .v100) : .null,
      "cni.dev/valid-attachments": [["containerID": "c1", "ifname": "eth0"]],
    ]
    let (document, exit) = try run(command, configuration)
    #expect(document["code"]?.integerValue == code)
    #expect(exit == (code == nil ? 0 : 1))
    if code != nil { #expect(document["cniVersion"] == .string(version)) }
    if code == nil, command != "ADD" { #expect(document == .null) }
  }

  @Test(
    arguments: [
      ("ADD", ["CNI_CONTAINERID": ""], "CNI_CONTAINERID"), ("ADD", ["CNI_CONTAINERID": "../x"], "CNI_CONTAINERID"),
      ("ADD", ["CNI_IFNAME": ""], "CNI_IFNAME"), ("ADD", ["CNI_IFNAME": "a/b"], "CNI_IFNAME"),
      ("ADD", ["CNI_IFNAME": "sixteen-letters0"], "CNI_IFNAME"), ("ADD", ["CNI_IFNAME": ".."], "CNI_IFNAME"),
      ("ADD", ["CNI_NETNS": ""], "CNI_NETNS"), ("ADD", ["CNI_NETNS": "relative"], "CNI_NETNS"),
      ("ADD", ["CNI_ARGS": "novalue"], "CNI_ARGS"), ("CHECK", ["CNI_NETNS": ""], "CNI_NETNS"),
      ("DEL", ["CNI_CONTAINERID": ""], "CNI_CONTAINERID"), ("", [:], "CNI_COMMAND"), ("UPDATE", [:], "CNI_COMMAND"),
    ] as [(String, [String: String], String)])
  func badEnvironment(command: String, changes: [String: String], variable: String) throws {
    let (document, exit) = try run(command, environment: changes)
    #expect(exit == 1)
    #expect(document["code"] == 4)
    #expect(document["msg"]?.stringValue?.hasPrefix(variable) == true)
  }

  @Test(
    arguments: [
      (["name": "net"], 1, "cniVersion"), (["cniVersion": "1.0.0"], 7, "name"),
      (["cniVersion": "1.0.0", "name": "a/b"], 7, "name"), (["cniVersion": "1.0.0", "name": 3], 7, "name"),
      (["cniVersion": "1.0.0", "name": "net", "ipam": ["type": "host-local"]], 2, "host-local"),
      (["cniVersion": "1.0.0", "name": "net", "mtu": 10], 7, "mtu"),
      (["cniVersion": "1.0.0", "name": "net", "mtu": "1500"], 7, "mtu"),
      (["cniVersion": "1.0.0", "name": "net", "prevResult": ["ips": []]], 7, "prevResult"),
      (["cniVersion": "1.0.0", "name": "net", "prevResult": ["ips": [["address": "10.0.0.1"]]]], 7, "ips[0].address"),
      ([], 6, "object"),
    ] as [(JSONValue, Int64, String)])
  func badConfiguration(configuration: JSONValue, code: Int64, word: String) throws {
    let (document, exit) = try run("ADD", configuration)
    #expect(exit == 1)
    #expect(document["code"]?.integerValue == code)
    #expect(document["msg"]?.stringValue?.contains(word) == true, "\(document.text())")
  }

  @Test func textThatIsNotJSON() throws {
    let environment = CNIPluginTests.environment.merging(["CNI_COMMAND": "ADD"]) { _, new in new }
    let outcome = CNIPlugin.run(environment: environment, stdin: Array("{".utf8)) { _ in FakeAgent() }
    #expect(outcome.exitCode == 1)
    let document = try JSONValue(parsing: outcome.output)
    #expect(document["code"] == 6)
    #expect(document["cniVersion"] == "1.1.0")
  }

  @Test func checkNeedsThePreviousResult() throws {
    #expect(try run("CHECK").document["code"] == 7)
    let agent = FakeAgent()
    let configuration: JSONValue = [
      "cniVersion": "1.1.0", "name": "net", "type": "martlet", "prevResult": FakeAgent.result.json(version: .v110),
    ]
    #expect(try run("CHECK", configuration, agent: agent).exit == 0)
    #expect(agent.calls == ["check c1/eth0 10.0.0.2,fd00::2"])
  }

  @Test(arguments: ["cni.dev/valid-attachments", "cni.dev/attachments"])
  func garbageCollectionPassesOnWhatIsValid(key: String) throws {
    let agent = FakeAgent()
    var configuration: JSONValue = ["cniVersion": "1.1.0", "name": "net", "type": "martlet"]
    #expect(try run("GC", configuration, agent: agent).document["code"] == 7)
    configuration[key] = [["containerID": "a", "ifname": "eth0"], ["containerID": "b", "ifname": "eth1"]]
    #expect(try run("GC", configuration, agent: agent).exit == 0)
    #expect(agent.calls == ["gc a/eth0,b/eth1"])
  }

  @Test(
    arguments: [
      (["cniVersion": "1.0.0"], "1.0.0"), (["cniVersion": "9.9.9"], "9.9.9"), ([:], "1.1.0"),
    ] as [(JSONValue, String)])
  func version(configuration: JSONValue, echoed: String) throws {
    let (document, exit) = try run("VERSION", configuration, environment: ["CNI_CONTAINERID": "", "CNI_IFNAME": ""])
    #expect(exit == 0)
    #expect(document["cniVersion"] == .string(echoed))
    #expect(document["supportedVersions"] == ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
  }

  @Test(arguments: [("ADD", 11), ("STATUS", 50), ("CHECK", 11), ("GC", 11)] as [(String, Int64)])
  func agentAway(command: String, code: Int64) throws {
    let agent = FakeAgent()
    agent.failure = .unreachable("connection refused")
    let configuration: JSONValue = [
      "cniVersion": "1.1.0", "name": "net", "type": "martlet", "agentSocket": "/x/agent.sock",
      "prevResult": command == "CHECK" ? FakeAgent.result.json(version: .v110) : .null,
      "cni.dev/valid-attachments": [],
    ]
    let (document, exit) = try run(command, configuration, agent: agent)
    #expect(exit == 1)
    #expect(document["code"]?.integerValue == code)
    #expect(document["details"] == "connection refused")
    #expect(agent.socket == "/x/agent.sock")
  }

  @Test func failuresOfTheAgentArePassedOn() throws {
    let agent = FakeAgent()
    agent.failure = .failed(CNIError(.unknownContainer, "no such container"))
    let (document, exit) = try run("ADD", agent: agent)
    #expect(exit == 1)
    #expect(document == ["cniVersion": "1.1.0", "code": 3, "msg": "no such container"])
  }

  @Test(arguments: [(nil, ["c1/eth0"]), (1, [])] as [(Int?, [String])])
  func deleteIsKeptForAnAgentThatIsAway(failures: Int?, left: [String]) throws {
    let directory = try TemporaryDirectory()
    let agent = FakeAgent()
    agent.failure = .unreachable("no such file")
    agent.failures = failures
    let (document, exit) = try run(
      "DEL", environment: ["MARTLET_STATE_DIR": directory.path, "CNI_NETNS": "", "CNI_ARGS": "broken"], agent: agent)
    #expect(exit == 0)
    #expect(document == .null)
    #expect(agent.socket == directory.path + "/agent.sock")
    #expect(agent.calls == ["delete c1/eth0", "delete c1/eth0"])
    let pending = PendingDeletes(stateDirectory: directory.path)
    #expect(try pending.load().map(\.description) == left)
    for key in try pending.load() { try pending.remove(key) }
    #expect(try pending.load().isEmpty)
  }
}
