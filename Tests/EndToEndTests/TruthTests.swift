import Glibc
import JSON
import Testing

/// Pods that answer and send.
private func prepare(_ node: Node) throws {
  try Prober.write(to: node.program)
  for namespace in ["a", "b"] { try node.kubectl("create", "namespace", namespace) }
  for pod in RandomTraffic.pods {
    try node.runPod(
      pod.name, namespace: pod.namespace, labels: pod.labels,
      command: ["python3", node.program, "serve", node.socket("\(pod.namespace)-\(pod.name)")], ports: ["web=80"])
  }
}

extension Node {
  fileprivate var program: String { directory + "/prober.py" }
  fileprivate func socket(_ name: String) -> String { "\(directory)/\(name).sock" }
}

extension EndToEnd {
  /// `policy trace` says what becomes of real packets: for random policies and random packets, each is asked about and
  /// then sent.
  ///
  /// `MARTLET_TRACE_CASES` asks for another number than 1,000; `MARTLET_TRACE_SEED` begins elsewhere.
  @Suite(.serialized, .node(prepare))
  struct TruthTests {
    private static let casesPerSet = 40
    private static let policiesPerSet = 12

    private static func number(_ name: String, _ standard: Int) -> Int {
      getenv(name).flatMap { Int(String(cString: $0)) } ?? standard
    }

    @Test func `packets go as the trace says`() throws {
      let node = try SharedNode.node
      let world = try Child(
        ["ip", "netns", "exec", node.name + "w", "python3", node.program, "serve", node.socket("world")])
      defer {
        world.signal(SIGKILL)
        world.wait()
      }
      let sockets = RandomTraffic.pods.map { node.socket("\($0.namespace)-\($0.name)") }
      #expect(eventually(within: 20) { (sockets + [node.socket("world")]).allSatisfy { access($0, F_OK) == 0 } })
      let first = Self.number("MARTLET_TRACE_SEED", 1)
      let sets = (Self.number("MARTLET_TRACE_CASES", 1000) + Self.casesPerSet - 1) / Self.casesPerSet
      var outcomes: [Prober.Outcome: Int] = [:]
      for seed in first..<first + sets {
        var traffic = RandomTraffic(seed: seed)
        let policies = traffic.policies(Self.policiesPerSet)
        let manifest = policies.map { "---\n" + YAMLText.of($0) }.joined()
        let applied = try node.kubectl(seed == first ? "create" : "replace", "-f", "-", stdin: manifest)
        try #require(applied.status == 0, "seed \(seed): \(applied)")
        try #require(try node.martlet("policy", "wait", "--timeout", "20s").status == 0)
        let questions = (0..<Self.casesPerSet).map { _ in traffic.question() }
        for (outcome, difference) in try compare(questions, on: node) {
          outcomes[outcome, default: 0] += 1
          guard let difference else { continue }
          Issue.record("seed \(seed): \(difference)\n\(manifest)")
        }
      }
      print("trace: \(sets * Self.casesPerSet) packets, \(outcomes.map { "\($0.value) \($0.key)" }.sorted())")
      let rare = outcomes.values.min() ?? 0
      #expect(sets < 10 || (outcomes.count == 3 && rare > sets), "too much alike: \(outcomes)")
    }

    /// What became of each packet, and how that differs from what was said of it before.
    private func compare(_ questions: [RandomTraffic.Question], on node: Node) throws -> [(Prober.Outcome, String?)] {
      let asked = try questions.map { try question($0, node) }
      let lines = asked.map { $0.trace.text() + "\n" }.joined()
      let answers = try node.onNode([Node.binary, "policy", "trace", "--questions", "-"], stdin: lines)
      try #require(answers.status == 0, "\(answers)")
      let traces = try answers.output.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
      try #require(traces.count == questions.count)
      let probes = asked.map(\.probe)
      var outcomes = try Prober.ask(probes, program: node.program)
      let predictions = traces.map(prediction)
      // A machine that has other work may be late, but it can not let through what is denied.
      let late = questions.indices.filter { outcomes[$0] == .silent && predictions[$0] != .silent }
      let again = try Prober.ask(
        late.map { index in
          var probe = probes[index]
          probe["timeout"] = 5
          return probe
        }, program: node.program)
      for (index, outcome) in zip(late, again) { outcomes[index] = outcome }
      return questions.indices.map { index in
        let (outcome, predicted) = (outcomes[index], predictions[index])
        guard outcome != predicted else { return (outcome, nil) }
        let told = predicted.map { "\($0)" } ?? "unknown"
        return (
          outcome,
          "\(asked[index].trace.text()) is \(outcome), and told to be \(told): \(traces[index].text())"
        )
      }
    }

    private func prediction(_ trace: JSONValue) -> Prober.Outcome? {
      switch trace["verdict"]?.stringValue {
      case "allowed": return .allowed
      case "denied":
        let stage = trace["steps"]?.arrayValue?.last?["stage"]?.stringValue
        return ["http", "dns"].contains { stage?.hasPrefix($0) == true } ? .refused : .silent
      default: return nil
      }
    }

    private func question(
      _ question: RandomTraffic.Question, _ node: Node
    ) throws -> (trace: JSONValue, probe: JSONValue) {
      func address(_ pod: Int?, isFar: Bool) throws -> String {
        guard let pod = pod.map({ RandomTraffic.pods[$0] }) else {
          return try node.address(of: isFar ? .farWorld : .world, question.family)
        }
        return try node.address(of: pod.name, namespace: pod.namespace, question.family)
      }
      let (from, to) = (
        try address(question.from, isFar: false), try address(question.to, isFar: question.isFar)
      )
      let said: [String: JSONValue] = question.said.merging([
        "port": .integer(Int64(question.port)), "protocol": .string(question.protocol),
      ]) { first, _ in first }
      let sender = question.from.map { "\(RandomTraffic.pods[$0].namespace)-\(RandomTraffic.pods[$0].name)" } ?? "world"
      let trace = said.merging(["from": .string(from), "to": .string(to)]) { first, _ in first }
      let probe = said.merging([
        "via": .string(node.socket(sender)), "address": .string(to), "timeout": .number(0.4),
        "family": question.family == .ipv4 ? "4" : "6",
      ]) { first, _ in first }
      return (.object(trace), .object(probe))
    }
  }
}
