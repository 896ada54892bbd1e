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
      let link = node.directory + "/martlet"
      if access(link, F_OK) != 0 { try must(["ln", "-s", Node.binary, link]) }
      return try command(
        ["ip", "netns", "exec", node.name, link],
        environment: [
          "CNI_COMMAND": verb, "CNI_CONTAINERID": "c0ffee", "CNI_NETNS": "/run/netns/\(node.name)-box",
          "CNI_IFNAME": "eth0", "CNI_PATH": node.directory, "CNI_ARGS": arguments,
        ],
        stdin: #"{"cniVersion":"1.0.0","name":"mesh","type":"martlet","agentSocket":"\#(node.state)/agent.sock"}"#)
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
      let again = try eventually(within: 15) { try node.pid(of: "agent") != pid && node.martlet("status").status == 0 }
      #expect(again)
      for family in Family.allCases { #expect(try request(family)) }
      for _ in 0..<2 { #expect(try plugin("DEL", node).status == 0) }
      #expect(try node.martlet("endpoint", "list", "-o", "json").json().arrayValue?.count == 1)
      #expect(try node.kubectl("get", "cep", "-A", "-o", "name").text.split(separator: "\n").count == 1)
    }

    @Test func `a container of a Pod that is not there waits for it`() throws {
      let node = try SharedNode.node
      let box = "\(node.name)-box"
      try must(["ip", "netns", "add", box])
      defer { _ = try? command(["ip", "netns", "del", box]) }
      let added = try plugin("ADD", node, arguments: "K8S_POD_NAMESPACE=default;K8S_POD_NAME=nobody")
      #expect(added.status == 1)
      #expect(try added.json()["msg"]?.stringValue?.isEmpty == false, "\(added)")
      #expect(try node.onNode(["ip", "-o", "link"]).output.split(separator: "\n").count { $0.contains(": mlt") } == 1)
    }
  }
}
