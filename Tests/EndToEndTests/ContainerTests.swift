import Glibc
import JSON
import Testing

extension EndToEnd {
  /// The plugin as a container runtime calls it that knows no Pods: a link to the executable, with CNI's variables.
  @Suite(.serialized, .node { node in try node.runServer("ratings", labels: "app=ratings") })
  struct ContainerTests {
    private func plugin(_ verb: String, _ node: Node, arguments: String = "IgnoreUnknown=1;K8S_POD_NAME=box") throws
      -> Outcome
    {
      let call = try Call(verb, node, arguments)
      return try command(call.command, environment: call.environment, stdin: call.configuration)
    }

    private struct Call {
      let command: [String]
      let environment: [String: String]
      let configuration: String

      init(_ verb: String, _ node: Node, _ arguments: String = "") throws {
        let link = node.directory + "/martlet"
        if access(link, F_OK) != 0 { try must(["ln", "-s", Node.binary, link]) }
        command = ["ip", "netns", "exec", node.name, link]
        environment = [
          "CNI_COMMAND": verb, "CNI_CONTAINERID": "c0ffee", "CNI_NETNS": "/run/netns/\(node.name)-box",
          "CNI_IFNAME": "eth0", "CNI_PATH": node.directory, "CNI_ARGS": arguments,
        ]
        configuration =
          #"{"cniVersion":"1.0.0","name":"mesh","type":"martlet","agentSocket":"\#(node.state)/agent.sock"}"#
      }
    }

    /// Names of the pods' devices on the node.
    private func filters(_ node: Node, on device: String) throws -> String {
      try ["ingress", "egress"].map { try node.onNode(["tc", "filter", "show", "dev", device, $0]).output }.joined()
    }

    @Test func `a container without a Pod is init to policies`() throws {
      let node = try SharedNode.node
      let box = "\(node.name)-box"
      try must(["ip", "netns", "add", box])
      defer { _ = try? command(["ip", "netns", "del", box]) }
      #expect(try plugin("VERSION", node).json()["supportedVersions"] != nil)
      let added = try plugin("ADD", node)
      #expect(added.status == 0, "\(added)\n\(node.log.suffix(1000))")
      #expect(try added.json()["ips"]?.arrayValue?.count == 2)
      func request(_ family: Family) throws -> Bool {
        let url = try node.url(of: .pod("ratings"), family)
        let outcome = try command(
          ["ip", "netns", "exec", box] + Node.requestCommand(url, timeout: 0.5, statusOnly: true))
        return outcome.text == "200"
      }
      let endpoints = try node.martlet("endpoint", "list", "-o", "json").json().arrayValue ?? []
      #expect(endpoints.contains { $0["identity"] == 5 }, "\(endpoints)")
      for family in Family.allCases { #expect(try request(family)) }
      let allowsPods = PolicyCase(
        "", spec: "endpointSelector: {matchLabels: {app: ratings}}\ningress: [{fromEndpoints: [{}]}]")
      try node.apply(allowsPods.manifest)
      for family in Family.allCases { #expect(try !request(family), "it is no pod") }
      let allowsInit = PolicyCase(
        "", spec: "endpointSelector: {matchLabels: {app: ratings}}\ningress: [{fromEntities: [init]}]")
      try node.apply(allowsInit.manifest)
      for family in Family.allCases { #expect(try request(family)) }
      try node.delete(allowsInit.manifest)
      // It stays what it is when the agent starts anew.
      let pid = try #require(node.pid(of: "agent"))
      kill(pid, SIGKILL)
      let again = try eventually(within: 20) { try node.pid(of: "agent") != pid && node.martlet("status").status == 0 }
      #expect(again)
      for family in Family.allCases { #expect(try request(family)) }
      for _ in 0..<2 { #expect(try plugin("DEL", node).status == 0) }
      #expect(try node.martlet("endpoint", "list", "-o", "json").json().arrayValue?.count == 1)
      #expect(try node.kubectl("get", "cep", "-A", "-o", "name").text.split(separator: "\n").count == 1)
    }

    @Test func `the end of a node takes its programs from containers of others`() throws {
      try Node.with { node in
        let box = "\(node.name)-box"
        try must(["ip", "netns", "add", box])
        defer { _ = try? command(["ip", "netns", "del", box]) }
        #expect(try plugin("ADD", node).status == 0)
        let device = try #require(try node.podDevices.first)
        let attached = try filters(node, on: device)
        #expect(attached.contains("from_container") && attached.contains("to_container"), "\(attached)")
        #expect(try node.martlet("bpf", "prog", "list").output.contains(device))
        #expect(node.terminate() == 0)
        #expect(try filters(node, on: device) == "")
      }
    }

    /// With the name of the README, by which podman and others collect.
    @Test func `a collection of the containers' network leaves the pods alone`() throws {
      let node = try SharedNode.node
      let box = "\(node.name)-box"
      try must(["ip", "netns", "add", box])
      defer { _ = try? command(["ip", "netns", "del", box]) }
      #expect(try plugin("ADD", node).status == 0)
      func collect(_ name: String) throws -> Outcome {
        let call = try Call("GC", node)
        let configuration =
          #"{"cniVersion":"1.1.0","name":"\#(name)","type":"martlet","agentSocket":"\#(node.state)/agent.sock","#
          + #""cni.dev/valid-attachments":[]}"#
        return try command(call.command, environment: call.environment, stdin: configuration)
      }
      #expect(try collect("martlet").status == 0)
      #expect(try node.martlet("endpoint", "list", "-o", "json").json().arrayValue?.count == 2)
      #expect(try collect("mesh").status == 0)
      #expect(try node.martlet("endpoint", "list", "-o", "json").json().arrayValue?.count == 1)
      #expect(try node.url(of: .pod("ratings"), .ipv4) != "")
      #expect(
        try node.request(from: .pod("ratings"), to: .pod("ratings"), port: 9080, family: .ipv4, timeout: 2) == "200")
    }

    /// At any moment; the runtime's DEL then clears what there is, and nothing is left of it.
    @Test func `an agent killed during ADD leaves nothing`() throws {
      try Node.with { node in
        let box = "\(node.name)-box"
        try must(["ip", "netns", "add", box])
        defer { _ = try? command(["ip", "netns", "del", box]) }
        let configuration = node.directory + "/cni.json"
        let call = try Call("ADD", node)
        try write(call.configuration, to: configuration)
        for round: UInt32 in 0..<6 {
          let adding = try Child(call.command, environment: call.environment, input: configuration)
          let pid = try #require(node.pid(of: "agent"))
          usleep(round * 5000)
          kill(pid, SIGKILL)
          adding.wait()
          let again = try eventually(within: 20) {
            try node.pid(of: "agent") != pid && node.martlet("status").status == 0
          }
          #expect(again)
          #expect(try plugin("DEL", node).status == 0)
          #expect(try node.podDevices == [])
          #expect(try node.martlet("endpoint", "list", "-o", "json").json().arrayValue == [])
        }
        #expect(try plugin("ADD", node).status == 0)
        #expect(try node.podDevices.count == 1)
        #expect(try plugin("DEL", node).status == 0)
      }
    }

    @Test func `a container of a Pod that is not there waits for it`() throws {
      let node = try SharedNode.node
      let box = "\(node.name)-box"
      try must(["ip", "netns", "add", box])
      defer { _ = try? command(["ip", "netns", "del", box]) }
      let added = try plugin("ADD", node, arguments: "K8S_POD_NAMESPACE=default;K8S_POD_NAME=nobody")
      #expect(added.status == 1)
      #expect(try added.json()["msg"]?.stringValue?.isEmpty == false, "\(added)")
      #expect(try node.podDevices.count == 1)
    }
  }
}
