import Identity
import JSON
import KubernetesAPI
import Policy
import Testing

/// What a policy that can not be read does to traffic that another policy allows, and what its status says.
@Suite struct UndecodableTests {
  struct Case: CustomTestStringConvertible {
    let testDescription: String
    let fields: JSONValue
    /// What becomes of the traffic that the other policy allows.
    let ingress: String
    let egress: String
    let message: String
  }

  private static let byDefault = "nothing is allowed by it; what other policies allow stays allowed"

  private static let cases = [
    Case(
      testDescription: "allow rules alone", fields: ["ingress": [["fromEndpoints": 1]]], ingress: "allow",
      egress: "allow", message: "wrong; the policy can not be read: \(byDefault)"),
    Case(
      testDescription: "deny rules on ingress", fields: ["ingressDeny": [["fromEndpoints": 1]]], ingress: "deny",
      egress: "allow",
      message:
        "wrong; the policy can not be read: on ingress everything is denied, for the sake of spec.ingressDeny; "
        + "on egress \(byDefault)"),
    Case(
      testDescription: "deny rules on egress", fields: ["egressDeny": ["toPorts": 1]], ingress: "allow",
      egress: "deny",
      message:
        "wrong; the policy can not be read: on ingress \(byDefault); "
        + "on egress everything is denied, for the sake of spec.egressDeny"),
    Case(
      testDescription: "what was meant to be deny rules", fields: ["IngressDenny": [[:]]], ingress: "deny",
      egress: "allow",
      message:
        "wrong; the policy can not be read: on ingress everything is denied, for the sake of spec.IngressDenny; "
        + "on egress \(byDefault)"),
    Case(
      testDescription: "no deny rule", fields: ["ingressDeny": [], "egressDeny": .null, "enableDefaultDeny": [:]],
      ingress: "allow", egress: "allow", message: "wrong; the policy can not be read: \(byDefault)"),
  ]

  @Test(arguments: cases) func `deny rules that can not be read deny everything`(_ scenario: Case) throws {
    let (decide, status) = try compiled(spec: scenario.fields)
    #expect(decide(.ingress) == scenario.ingress)
    #expect(decide(.egress) == scenario.egress)
    #expect(status.state == .rejected)
    #expect(status.issues.map(\.message) == [scenario.message])
  }

  @Test func `each of specs counts`() throws {
    let (decide, status) = try compiled(specs: [["ingress": [[:]]], ["egressDeny": [[:]]]])
    #expect(decide(.ingress) == "allow" && decide(.egress) == "deny")
    #expect(status.issues.first?.message.contains("for the sake of specs[1].egressDeny") == true)
  }

  private func compiled(
    spec: JSONValue? = nil, specs: [JSONValue] = []
  ) throws -> (decide: (Direction) -> String, status: PolicyObjectStatus) {
    var cluster = Cluster()
    cluster.add("default", "web", ["app": "web"])
    cluster.add("default", "client", ["app": "client"])
    let selector: JSONValue = ["matchLabels": ["app": "web"]]
    let other = policy(
      "other",
      spec: [
        "endpointSelector": selector, "ingress": [["fromEntities": ["all"]]], "egress": [["toEntities": ["all"]]],
      ])
    func selecting(_ spec: JSONValue) -> JSONValue {
      var spec = spec
      spec["endpointSelector"] = selector
      return spec
    }
    var raw = policy("broken", spec: selecting(spec ?? [:]))
    if spec == nil { raw["spec"] = nil }
    if !specs.isEmpty { raw["specs"] = .array(specs.map(selecting)) }
    let key = try #require(ObjectKey(of: raw, kind: ""))
    var book = PolicyBook(node: "n1")
    let (documents, nodes) = book.start([
      try ClusterInput(other),
      .cilium(.invalid(key, raw: raw, FieldError(path: "spec", message: "wrong"))),
    ])
    var allocations = PolicyAllocations()
    let compiled = PolicyCompiler.compile(cluster.snapshot(documents, nodes: nodes), allocations: &allocations)
    let kernel = KernelLookup(compiled: compiled)
    let (web, client) = (try #require(cluster.peer("default/web")), try #require(cluster.peer("default/client")))
    return (
      { "\(kernel.decide(web.identity(kernel), client.identity(kernel), $0, 6, 80).0)" },
      try #require(compiled.status[key])
    )
  }
}
