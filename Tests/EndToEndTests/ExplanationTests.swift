import Glibc
import JSON
import Testing

extension EndToEnd {
  /// What a person asks before and after a policy is applied: `why`, `policy validate`, `policy diff`, `endpoint audit`,
  /// and flows that say who decided.
  @Suite(
    .serialized,
    .node(upArguments: ["--fqdn-grace", "1"]) { node in
      try node.runServer("ratings", labels: "app=ratings")
      try node.runPod("sleep", labels: "app=sleep")
      let hosts = node.directory + "/hosts"
      try write("192.0.2.2 www.example.com\n", to: hosts)
      try node.runPod(
        "dns", labels: "app=dns",
        command: [
          "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--addn-hosts=\(hosts)", "--local-ttl=30",
          "--user=root", "--pid-file=",
        ])
    })
  struct ExplanationTests {
    private func manifest(_ spec: String) -> String { PolicyCase("", spec: spec).manifest }

    /// Runs `martlet` and applies `policy` around it.
    private func under<Result>(_ policy: String, _ body: (Node) throws -> Result) throws -> Result {
      let node = try SharedNode.node
      try node.apply(policy)
      defer { try? node.delete(policy) }
      return try body(node)
    }

    private func martlet(_ node: Node, _ words: String, stdin: String? = nil) throws -> Outcome {
      try node.onNode([Node.binary] + words.split(separator: " ").map(String.init), stdin: stdin)
    }

    private let onlyFriends = """
      endpointSelector: {matchLabels: {app: ratings}}
      ingress:
        - fromEndpoints: [{matchLabels: {app: friend}}]
          toPorts: [{ports: [{port: "9080", protocol: TCP}], rules: {http: [{method: GET, path: "/ratings/.*"}]}}]
      """

    @Test func `why says who denied and what would allow it`() throws {
      try under(manifest(onlyFriends)) { node in
        let why = try martlet(node, "why default/sleep default/ratings:9080 GET /ratings/0")
        #expect(why.status == 1, "\(why)")
        for part in [
          "DENIED", "ingress of default/ratings", "CiliumNetworkPolicy default/under-test",
          "give default/sleep the label app=friend", "fromEndpoints:",
        ] { #expect(why.output.contains(part), "\(part) is not in \(why)") }
      }
      let allowed = try martlet(try SharedNode.node, "why default/sleep default/ratings:9080")
      #expect(allowed.status == 0 && allowed.output.contains("ALLOWED"), "\(allowed)")
    }

    private static let misuses = [
      "why default/sleep default/ratings", "why default/sleep default/ratings:9080 GET /a b",
      "policy trace --from default/sleep --to default/ratings", "policy trace --questions - --port 1/TCP",
      "policy trace --from a --to b --port 53/UDP --dns a.b --path /",
      "policy trace --from a --to b --port 443/TCP --server-name a.b --dns a.b",
      "why default/sleep default/ratings:9080 GET / --server-name a.b",
    ]

    @Test(arguments: misuses) func `wrong use is exit code 2`(_ words: String) throws {
      #expect(try martlet(SharedNode.node, words).status == 2)
    }

    @Test func `queries are traced and explained, and addresses have the names that were answered`() throws {
      let policy = manifest(
        """
        endpointSelector: {matchLabels: {app: sleep}}
        egress:
          - toPorts: [{ports: [{port: "53", protocol: ANY}], rules: {dns: [{matchPattern: "*.example.com"}]}}]
          - toFQDNs: [{matchName: www.example.com}]
            toPorts: [{ports: [{port: "9080", protocol: TCP}]}]
        """)
      try under(policy) { node in
        let trace = "policy trace --from default/sleep --to default/dns --port 53/UDP --dns"
        #expect(try martlet(node, "\(trace) www.example.com").status == 0)
        let refused = try martlet(node, "\(trace) example.org -o json")
        #expect(refused.status == 1)
        let last = try refused.json()["steps"]?.arrayValue?.last
        #expect(last?["stage"] == "dns" && last?["verdict"] == "denied", "\(refused)")
        let why = try martlet(node, "why default/sleep default/dns:53/UDP example.org")
        #expect(why.status == 1 && why.output.contains("- matchName: example.org"), "\(why)")
        #expect(why.output.contains("the name is example.org, not *.example.com"), "\(why)")

        let server = try node.address(of: .pod("dns"), .ipv4)
        #expect(try node.exec("sleep", ["dig", "+short", "@\(server)", "www.example.com"]).text == "192.0.2.2")
        let names = try martlet(node, "fqdn list -o json").json().arrayValue ?? []
        let name = try #require(names.first { $0["name"] == "www.example.com" }, "\(names)")
        #expect(name["patterns"]?.arrayValue?.contains("www.example.com") == true)
        #expect(name["addresses"]?.arrayValue?.first?["address"] == "192.0.2.2")
        let named = try martlet(node, "why default/sleep 192.0.2.2:9080")
        #expect(named.status == 0, "\(named)")
        #expect(named.output.contains("answered for www.example.com, which toFQDNs www.example.com means"), "\(named)")
        let nameless = try martlet(node, "why default/sleep 192.0.2.3:9080")
        #expect(nameless.status == 1 && nameless.output.contains("was answered for no name"), "\(nameless)")
      }
    }

    @Test func `many questions are answered at once, and one that can not be does not spoil the others`() throws {
      let questions = """
        {"from": "default/sleep", "to": "default/ratings", "port": 9080}
        {"from": "default/nobody", "to": "default/ratings", "port": 9080}

        """
      let answers = try martlet(SharedNode.node, "policy trace --questions -", stdin: questions)
      let lines = try answers.output.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
      try #require(lines.count == 2, "\(answers)")
      #expect(lines[0]["verdict"] == "allowed")
      #expect(lines[1]["error"]?.stringValue?.contains("no pod default/nobody") == true)
    }

    // MARK: Before it is applied

    private let mistaken = """
      endpointSelector: {matchLabels: {app: ratings}}
      ingress:
        - toPorts: [{ports: [{port: "9999", protocol: TCP}, {port: grpc, protocol: TCP}]}]
      """

    @Test func `validate reviews a file, a running node's pods, and the standard input`() throws {
      let node = try SharedNode.node
      let wrong = manifest("endpointSelector: {}\ningres: [{}]")
      let refused = try martlet(node, "policy validate --offline -", stdin: wrong)
      #expect(refused.status == 1 && refused.output.contains("ingres"), "\(refused)")
      let doubtful = manifest(mistaken)
      let offline = try martlet(node, "policy validate --offline -", stdin: doubtful)
      #expect(offline.status == 0 && !offline.output.contains("listens"), "\(offline)")
      let live = try martlet(node, "policy validate -", stdin: doubtful)
      #expect(live.status == 0, "\(live)")
      #expect(live.output.contains("no selected pod listens there now, only on 9080"), "\(live)")
      #expect(live.output.contains("no selected pod has a port named grpc"), "\(live)")
      #expect(try martlet(node, "policy validate --strict -", stdin: doubtful).status == 1)
      let good = manifest(
        """
        endpointSelector: {matchLabels: {app: ratings}}
        ingress: [{fromEndpoints: [{matchLabels: {app: sleep}}], toPorts: [{ports: [{port: http, protocol: TCP}]}]}]
        """)
      let file = node.directory + "/good.yaml"
      try write(good, to: file)
      let strict = try martlet(node, "policy validate --strict \(file)")
      #expect(strict.status == 0, "\(strict)")
      #expect(try martlet(node, "policy validate \(node.directory)/nothing.yaml").status == 2)
    }

    @Test func `diff tells what would newly be denied, and its exit code says so`() throws {
      let node = try SharedNode.node
      #expect(try node.request(from: .pod("sleep"), to: .pod("ratings"), family: .ipv4) == "200")
      let seen = try eventually(within: 20) {
        try martlet(node, "observe --last 50 -o json").output.contains("\"destination_port\":9080")
      }
      #expect(seen)
      let denies = try martlet(node, "policy diff --against-flows -", stdin: manifest(onlyFriends))
      #expect(denies.status == 1, "\(denies)")
      #expect(denies.output.contains("default/sleep") && denies.output.contains("no rule allows it"), "\(denies)")
      let allows = manifest("endpointSelector: {matchLabels: {app: ratings}}\ningress: [{fromEndpoints: [{}]}]")
      #expect(try martlet(node, "policy diff -", stdin: allows).status == 0)
      #expect(try martlet(node, "policy diff -", stdin: "]").status == 2)
      #expect(try node.kubectl("get", "cnp", "-o", "name").text == "", "nothing was applied")
    }

    // MARK: While it is watched

    @Test func `an audited pod drops nothing, and flows say what would be`() throws {
      try under(manifest(onlyFriends)) { node in
        #expect(try node.surprises([.refused(.pod("sleep"))]) == [])
        #expect(try martlet(node, "endpoint audit default/ratings on").status == 0)
        #expect(try node.surprises([.allowed(.pod("sleep"))]) == [])
        for verb in ["why sleep ratings:9080", "policy trace --from sleep --to ratings --port 9080/TCP"] {
          let told = try martlet(node, verb)
          #expect(told.status == 0 && told.output.contains("audited: no rule allows it"), "\(told)")
        }
        #expect(try martlet(node, "status").output.contains("1 of "))
        #expect(try martlet(node, "policy get").output.contains("spec: watched only on default/ratings"))
        let told = try eventually(within: 20) {
          let path = #"jsonpath={.status.conditions[?(@.type=="Enforced")].message}"#
          return try node.kubectl("get", "cnp/under-test", "-o", path).text
            == "the policy is enforced as written; watched only on default/ratings"
        }
        #expect(told)
        let seen = try eventually(within: 20) {
          try !martlet(node, "observe --verdict AUDIT --last 10 -o json").text.isEmpty
        }
        #expect(seen)
        #expect(try martlet(node, "endpoint audit default/ratings off").status == 0)
        #expect(try node.surprises([.refused(.pod("sleep"))]) == [])
        #expect(try martlet(node, "endpoint audit default/nobody on").status == 2)
      }
    }

    @Test(arguments: [("ingress", "FORWARDED"), ("ingressDeny", "DROPPED")])
    func `flows carry the rule and its log value`(_ section: String, _ verdict: String) throws {
      let rule = "\(section): [{fromEndpoints: [{matchLabels: {app: sleep}}]}]"
      let spec = "endpointSelector: {matchLabels: {app: ratings}}\nlog: {value: audited-by-finance}\n\(rule)"
      try under(manifest(spec)) { node in
        let isAllowed = verdict == "FORWARDED"
        #expect(try node.surprises([isAllowed ? .allowed(.pod("sleep")) : .refused(.pod("sleep"))], [.ipv4]) == [])
        let cited = try eventually(within: 20) {
          let flows = try martlet(node, "observe --verdict \(verdict) --last 50 -o json").output
          return try flows.split(separator: "\n").contains { line in
            let flow = try JSONValue(parsing: String(line))["flow"]
            let author = flow?[isAllowed ? "ingress_allowed_by" : "ingress_denied_by"]?.arrayValue?.first
            return flow?["policy_log"] == ["audited-by-finance"]
              && author?["labels"]?.arrayValue?.first == .string("martlet.io/rule=spec.\(section)[0]")
          }
        }
        #expect(cited)
        let lines = try martlet(node, "observe --verdict \(verdict) --last 50").output
        #expect(lines.contains("[audited-by-finance]"), "\(lines)")
      }
    }
  }
}
