import JSON
import Testing

extension EndToEnd {
  /// The verbs' output in its machine's form, and their exit codes.
  @Suite(
    .serialized,
    .node { node in
      try node.runServer("ratings", labels: "app=ratings")
      try node.runPod("sleep", labels: "app=sleep")
    })
  struct VerbTests {
    @Test(arguments: [
      ("status", "object"),
      ("endpoint list", "array"),
      ("endpoint get default/ratings", "object"),
      ("identity list", "array"),
      ("identity get 1", "object"),
      ("policy get", "array"),
      ("policy trace --from default/sleep --to default/ratings --port 9080/TCP", "object"),
      ("bpf prog list", "array"),
      ("bpf map list", "array"),
      ("bpf policy list", "array"),
      ("bpf ipcache list", "array"),
      ("bpf ct list", "array"),
    ]) func `output is JSON`(_ verb: String, _ type: String) throws {
      let node = try SharedNode.node
      let words = verb.split(separator: " ").map(String.init)
      let outcome = try node.onNode([Node.binary] + words + ["-o", "json"])
      #expect(outcome.status == 0, "\(outcome)")
      #expect(try outcome.json().typeName == type)
    }

    private static let exitCodes: [([String], Int32)] = [
      (["status"], 0),
      (["status", "--wait", "--timeout", "5s"], 0),
      (["policy", "wait"], 0),
      (["endpoint", "get", "default/nobody"], 2),
      (["endpoint", "get", "999"], 2),
      (["exec", "nobody", "--", "true"], 1),
      (["exec", "sleep", "--", "sh", "-c", "exit 7"], 7),
      (["logs", "nobody"], 1),
      (["run", "--name", "sleep", "--detach", "--", "true"], 1),
      (["run", "--name", "none", "--service-account", "none", "--detach", "--", "true"], 1),
      (["policy", "trace", "--from", "default/nobody", "--to", "default/ratings", "--port", "9080/TCP"], 2),
      (["why", "sleep", "nowhere/ratings:9080"], 2),
      (["why", "sleep", "ratings:9080/FOO"], 2),
      (["why", "sleep", "ratings:nothing"], 2),
      (["why", "sleep", "sleep:9080"], 0),
      (["endpoint", "audit", "nobody", "on"], 2),
      (["help", "policy", "trace"], 0),
    ]

    @Test(arguments: VerbTests.exitCodes) func `exit codes`(_ arguments: [String], _ status: Int32) throws {
      let outcome = try SharedNode.node.onNode([Node.binary] + arguments)
      #expect(outcome.status == status, "\(outcome)")
      if status == 1 || status == 2 { #expect(outcome.errors.hasPrefix("martlet: "), "says why: \(outcome)") }
    }

    @Test func `run replaces what an earlier run has left, and nothing else`() throws {
      let node = try SharedNode.node
      let first = try node.martlet("run", "--name", "once", "--detach", "--", "sh", "-c", "sleep 0.3")
      #expect(first.status == 0, "\(first)")
      let ended = try eventually(within: 20) {
        try node.kubectl("get", "pod", "once", "-o", "jsonpath={.status.phase}").text == "Succeeded"
      }
      #expect(ended)
      let second = try node.martlet("run", "--name", "once", "--detach", "--", "sleep", "60")
      #expect(second.status == 0, "\(second)")
      let third = try node.martlet("run", "--name", "once", "--detach", "--", "true")
      #expect(third.status == 1 && third.errors.contains("`kubectl delete pod once -n default` removes it"), "\(third)")
      #expect(try node.kubectl("delete", "pod", "once", "--timeout=20s").status == 0)
    }

    @Test func `a command's words come as they are given`() throws {
      let outcome = try SharedNode.node.martlet("run", "--name", "words", "--", "sh", "-c", "echo $$; echo '$(HOME)'")
      let lines = outcome.output.split(separator: "\n")
      #expect(lines.count == 2 && Int(lines[0]) != nil && lines[1] == "$(HOME)", "\(outcome)")
    }

    @Test(arguments: [("/no/such/cmd", 127), ("/etc/passwd", 126), ("no-such-cmd", 127)] as [(String, Int32)])
    func `a command that can not be started is told`(_ command: String, _ status: Int32) throws {
      let node = try SharedNode.node
      let outcome = try node.martlet("run", "--name", "wrong", "--", command)
      #expect(outcome.status == status && outcome.errors.contains("can not start \"\(command)\""), "\(outcome)")
    }

    @Test func `an agent that is not there is exit code 3`() throws {
      let outcome = try command([Node.binary, "status", "--state-dir", "/tmp/martlet-e2e-nothing"])
      #expect(outcome.status == 3)
      #expect(outcome.errors.contains("can not reach the agent"), "\(outcome)")
    }

    @Test(arguments: Family.allCases) func `a drop is observed with its reason`(_ family: Family) throws {
      let node = try SharedNode.node
      let policy = PolicyCase("", spec: "endpointSelector: {matchLabels: {app: ratings}}\ningress: [{}]").manifest
      try node.apply(policy)
      #expect(try node.surprises([.refused(.pod("sleep"))], [family]) == [])
      let address = try node.address(of: .pod("ratings"), family)
      let seen = try eventually(within: 20) {
        let flows = try node.martlet("observe", "--verdict", "DROPPED", "--ip", address, "-o", "json").output
        return try flows.split(separator: "\n").contains { line in
          try JSONValue(parsing: String(line))[path: "flow", "drop_reason_desc"] == "POLICY_DENIED"
        }
      }
      #expect(seen)
      let trace = try node.martlet(
        "policy", "trace", "--from", "default/sleep", "--to", "default/ratings", "--port", "9080/TCP")
      #expect(trace.status == 1, "\(trace)")
      try node.delete(policy)
    }
  }
}
