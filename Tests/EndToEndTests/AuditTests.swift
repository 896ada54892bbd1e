import JSON
import Testing

extension EndToEnd {
  /// Policies that are only watched, on real traffic.
  @Suite(
    .serialized,
    .node { node in
      try node.runServer("ratings", labels: "app=ratings")
      try node.runPod("sleep", labels: "app=sleep")
    })
  struct AuditTests {
    private func martlet(_ node: Node, _ words: String, stdin: String? = nil) throws -> Outcome {
      try node.onNode([Node.binary] + words.split(separator: " ").map(String.init), stdin: stdin)
    }

    /// Flows of the verdict AUDIT from the client, as lines.
    private func audits(_ node: Node) throws -> [String] {
      try martlet(node, "observe --verdict AUDIT --last 500 --from-pod default/sleep").output
        .split(separator: "\n").map(String.init)
    }

    /// What the status says of being enforced: `True Enforced`.
    private func enforced(_ node: Node, _ name: String) throws -> String {
      let condition = #"status.conditions[?(@.type=="Enforced")]"#
      return try node.kubectl("get", name, "-o", "jsonpath={.\(condition).status} {.\(condition).reason}").text
    }

    private func enforces(_ node: Node) throws -> Bool { try node.surprises([.refused(.pod("sleep"))]) == [] }
    private func lets(_ node: Node) throws -> Bool { try node.surprises([.allowed(.pod("sleep"))]) == [] }

    @Test(arguments: [false, true])
    func `it changes nothing and is told of, until it is enforced`(_ isKubernetes: Bool) throws {
      let node = try SharedNode.node
      let subject = isKubernetes ? "podSelector" : "endpointSelector"
      let spec = "\(subject): {matchLabels: {app: ratings}}\ningress: []"
      // An empty list of rules closes nothing for Cilium's kind.
      let file = PolicyCase(
        "", isKubernetes: isKubernetes,
        spec: isKubernetes ? spec : spec.replacing("[]", with: "[{fromEndpoints: [{matchLabels: {app: friend}}]}]")
      ).manifest
      let kind = isKubernetes ? "NetworkPolicy" : "CiliumNetworkPolicy"
      let name = "\(kind.lowercased())/under-test"
      let applied = try martlet(node, "policy diff --audit -", stdin: file)
      defer { _ = try? node.kubectl("delete", name, "--ignore-not-found") }
      #expect(applied.status == 0 && applied.output.contains("\(kind) default/under-test: audited"), "\(applied)")
      #expect(try lets(node))
      let cited = "AUDIT (POLICY_DENIED: no rule allows it; selected by \(kind) default/under-test)"
      for isIPv6 in [false, true] {
        let seen = try eventually(within: 20) {
          try audits(node).contains { $0.contains(cited) && $0.contains("-> default/ratings:9080") }
        }
        #expect(seen, "no \(cited)")
        #expect(try families(node, kind).contains(isIPv6 ? "IPv6" : "IPv4"))
      }
      let listed = try martlet(node, "policy get -o json").output
      #expect(listed.contains(#""state": "audited""#), "\(listed)")
      #expect(try martlet(node, "status").output.contains("1 policy is watched by annotation"))
      let told = try eventually(within: 20) {
        try isKubernetes
          ? node.kubectl("get", "events").output.contains("Audited") : enforced(node, name) == "False Audited"
      }
      #expect(told)
      // Removing the annotation enforces it, and the verb does not take back what is enforced.
      try node.kubectl("annotate", name, "policy.martlet.io/mode-")
      #expect(try martlet(node, "policy wait").status == 0)
      #expect(try enforces(node))
      let again = try martlet(node, "policy diff --audit -", stdin: file)
      #expect(again.status == 2 && again.errors.contains("is enforced now"), "\(again)")
      #expect(try enforces(node))
      // By the annotation alone, and enforced by applying the file without it.
      try node.kubectl("annotate", name, "policy.martlet.io/mode=audit")
      #expect(try martlet(node, "policy wait").status == 0)
      #expect(try lets(node))
      #expect(try martlet(node, "policy diff --audit -", stdin: file).status == 0)
      #expect(try lets(node))
      try node.apply(file)
      #expect(try enforces(node))
      if !isKubernetes {
        let isTold = try eventually(within: 20) { try enforced(node, name) == "True Enforced" }
        #expect(isTold)
        try node.kubectl("annotate", name, "policy.martlet.io/mode=Audit")
        let refused = try eventually(within: 20) {
          let problems = try martlet(node, "policy get").output
          return problems.contains("metadata.annotations[policy.martlet.io/mode]: unknown mode \"Audit\"")
        }
        #expect(refused)
        #expect(try enforces(node))
      }
    }

    /// The families of the flows that name a policy of this kind.
    private func families(_ node: Node, _ kind: String) throws -> Set<String> {
      let flows = try martlet(node, "observe --verdict AUDIT --last 500 -o json").output.split(separator: "\n")
      return Set(
        try flows.compactMap { line in
          let flow = try JSONValue(parsing: String(line))["flow"]
          let names = flow?["denied_by_default_of"]?.arrayValue?.first
          return names?["kind"]?.stringValue == kind ? flow?[path: "IP", "ipVersion"]?.stringValue : nil
        })
    }

    private static let clients = PolicyCase(
      "",
      spec: """
        endpointSelector: {matchLabels: {app: sleep}}
        egress:
          - toPorts: [{ports: [{port: "9080", protocol: TCP}], rules: {http: [{method: GET}]}}]
        """
    ).manifest

    private static let servers = """
      apiVersion: cilium.io/v2
      kind: CiliumNetworkPolicy
      metadata: {name: watched}
      spec:
        endpointSelector: {matchLabels: {app: ratings}}
        ingress: [{toPorts: [{ports: [{port: "9080", protocol: TCP}], rules: {http: [{path: /none}]}}]}]
      ---
      apiVersion: cilium.io/v2
      kind: CiliumClusterwideNetworkPolicy
      metadata: {name: watched}
      spec:
        endpointSelector: {matchLabels: {app: ratings}}
        ingressDeny: [{fromEndpoints: [{matchLabels: {app: sleep}}]}]
      """

    @Test func `deny rules are cited, and requests that an audited end would refuse`() throws {
      let node = try SharedNode.node
      try node.apply(Self.clients)
      defer { try? node.delete(Self.clients) }
      let applied = try martlet(node, "policy diff --audit -o json -", stdin: Self.servers)
      defer { _ = try? node.kubectl("delete", "ccnp/watched", "--ignore-not-found") }
      defer { _ = try? node.kubectl("delete", "cnp/watched", "--ignore-not-found") }
      #expect(applied.status == 0 && applied.output.contains("CiliumClusterwideNetworkPolicy"), "\(applied)")
      #expect(try lets(node))
      let denied = "AUDIT (POLICY_DENY: CiliumClusterwideNetworkPolicy watched spec.ingressDeny[0])"
      let seen = try eventually(within: 20) { try audits(node).contains { $0.contains(denied) } }
      #expect(seen, "no \(denied)")
      try node.kubectl("delete", "ccnp/watched")
      #expect(try martlet(node, "policy wait").status == 0)
      #expect(try lets(node))
      let read = "AUDIT (POLICY_DENIED: no rule allows it; by the rules of CiliumNetworkPolicy default/watched)"
      let told = try eventually(within: 20) {
        try audits(node).contains { $0.contains("http-") && $0.contains(read) }
      }
      #expect(told, "no \(read)")
      let metrics = try node.onNode(["curl", "-s", "http://127.0.0.1:9962/metrics"]).output
      #expect(metrics.contains(#"martlet_policy{state="audited"} 1"#))
      #expect(metrics.contains("martlet_policy_audit_verdicts_total{"))
    }

    @Test func `what is no policy, or what the API refuses, is not applied`() throws {
      let node = try SharedNode.node
      let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 1}]}\n"
      let refused = try martlet(node, "policy diff --audit -", stdin: "\(Self.clients)\n---\n\(service)")
      #expect(refused.status == 2 && refused.errors.contains("\"Service\" is not a policy"), "\(refused)")
      let mistake = PolicyCase("", spec: "endpointSelector: {}\ningress: [{fromEntities: [mars]}]").manifest
      let invalid = try martlet(node, "policy diff --audit -", stdin: mistake)
      #expect(invalid.status == 1 && invalid.errors.contains("spec.ingress[0].fromEntities[0]"), "\(invalid)")
      #expect(try node.kubectl("get", "cnp", "-o", "name").text == "")
    }
  }
}
