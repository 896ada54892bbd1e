import JSON
import Testing

extension EndToEnd {
  /// What becomes of policies that are wrong, or ask for what is not there: nobody may take them for enforced.
  @Suite(
    .serialized,
    .node { node in
      try node.runServer("ratings", labels: "app=ratings")
      try node.runPod("sleep", labels: "app=sleep")
    })
  struct ValidationTests {
    private func manifest(_ section: String) -> String {
      PolicyCase("", spec: "endpointSelector: {matchLabels: {app: ratings}}\n" + section).manifest
    }

    @Test(arguments: [
      ("ingress: [{fromEndpoint: [{}]}]", "spec.ingress[0].fromEndpoint"),
      ("ingres: [{}]", "spec.ingres"),
      (#"ingress: [{fromCIDR: ["10.0.0.0/33"]}]"#, "spec.ingress[0].fromCIDR[0]"),
      ("ingress: [{fromEntities: [martians]}]", "spec.ingress[0].fromEntities[0]"),
      (
        #"ingress: [{toPorts: [{ports: [{port: "80", protocol: TPC}]}]}]"#,
        "spec.ingress[0].toPorts[0].ports[0].protocol"
      ),
    ]) func `kubectl refuses a mistake and says where it is`(_ section: String, _ path: String) throws {
      let node = try SharedNode.node
      let applied = try node.kubectl("apply", "-f", "-", stdin: manifest(section))
      #expect(applied.status == 1)
      #expect(applied.errors.contains(path), "\(applied)")
      #expect(try node.kubectl("get", "cnp", "-o", "name").text == "")
      #expect(try node.request(from: .pod("sleep"), to: .pod("ratings"), family: .ipv4) == "200")
    }

    @Test(arguments: [
      (
        #"ingress: [{toPorts: [{ports: [{port: "9080", protocol: TCP}], rules: {http: [{path: "/(a"}]}}]}]"#,
        "spec.ingress[0].toPorts[0].rules.http[0].path"
      ),
      ("ingress: [{fromEndpoints: [{}], authentication: {mode: required}}]", "spec.ingress[0].authentication"),
    ]) func `what can not be enforced denies, and its status says so`(_ section: String, _ path: String) throws {
      let node = try SharedNode.node
      let policy = manifest(section)
      try node.apply(policy)
      try expectRejected(path)
      #expect(try node.surprises([.refused(.pod("sleep"))]) == [])
      try node.delete(policy)
      #expect(try node.surprises([.allowed(.pod("sleep"))]) == [])
    }

    @Test func `a peer by a cloud group denies egress, and its status says so`() throws {
      let node = try SharedNode.node
      let policy = PolicyCase(
        "",
        spec: """
          endpointSelector: {matchLabels: {app: sleep}}
          egress: [{toGroups: [{aws: {region: eu}}]}]
          """
      ).manifest
      try node.apply(policy)
      try expectRejected("spec.egress[0].toGroups")
      #expect(try node.surprises([.refused(.pod("sleep"))]) == [])
      try node.delete(policy)
    }

    @Test func `a good policy's status says that it is in force`() throws {
      let node = try SharedNode.node
      let policy = manifest("ingress: [{fromEndpoints: [{}]}]")
      try node.apply(policy)
      let valid = try eventually(within: 20) { try condition("Enforced")?["status"] == "True" }
      let list = try node.kubectl("get", "cnp", "-o", "json")
      #expect(valid, "\(list)")
      try node.delete(policy)
    }

    private func expectRejected(_ path: String) throws {
      let rejected = try eventually(within: 20) {
        let condition = try condition("Enforced")
        return condition?["status"] == "False" && condition?["message"]?.stringValue?.contains(path) == true
      }
      let list = try SharedNode.node.kubectl("get", "cnp", "-o", "json")
      #expect(rejected, "\(list)")
    }

    private func condition(_ type: String) throws -> JSONValue? {
      let list = try SharedNode.node.kubectl("get", "cnp", "-o", "json").json()
      let conditions = list["items"]?.arrayValue?.first?[path: "status", "conditions"]?.arrayValue
      return conditions?.first { $0["type"]?.stringValue == type }
    }
  }
}
