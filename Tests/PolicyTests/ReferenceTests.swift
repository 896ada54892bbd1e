import Identity
import JSON
import KubernetesAPI
import Policy
import Testing

/// Peers that a policy names by reference: Services, nodes, groups of blocks, the API server.
@Suite struct ReferenceTests {
  @Test(arguments: groups + services + nodes + required) func whoIsMeant(_ scenario: Scenario) throws {
    try scenario.check(ScenarioTests.cluster)
  }

  private static func about(_ members: JSONValue, _ objects: JSONValue...) -> [JSONValue] {
    ScenarioTests.about(members) + objects
  }

  static let groups = [
    Scenario(
      "a group by its name, without the exceptions",
      about(
        ["ingress": [["fromCIDRSet": [["cidrGroupRef": "g", "except": ["10.1.0.0/16", "2001:db8::1/128"]]]]]],
        cidrGroup("g", "10.0.0.0/8", "2001:db8::/32"), cidrGroup("other", "192.0.2.0/24")),
      """
      10.2.0.1 => default/productpage 80/TCP allow
      10.1.0.1 => default/productpage 80/TCP drop
      2001:db8::2 => default/productpage 80/TCP allow
      2001:db8::1 => default/productpage 80/TCP drop
      192.0.2.1 => default/productpage 80/TCP drop
      """),
    Scenario(
      "an exception that covers a whole block of a group leaves nothing of that block",
      about(
        [
          "ingress": [
            ["fromCIDRSet": [["cidrGroupRef": "g", "except": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.0/24"]]]]
          ]
        ],
        cidrGroup("g", "10.1.0.0/16", "172.16.0.0/12", "192.0.2.0/24", "2001:db8:1::/48", "2001:db9::/32")),
      """
      10.1.0.1 => default/productpage 80/TCP drop
      192.0.2.1 => default/productpage 80/TCP drop
      172.16.0.1 => default/productpage 80/TCP allow
      2001:db8:1::1 => default/productpage 80/TCP drop
      2001:db9::1 => default/productpage 80/TCP allow
      """),
    Scenario(
      "an exception of one family leaves the other alone, however wide it is",
      about(
        ["egress": [["toCIDRSet": [["cidrGroupRef": "g", "except": ["::/0"]]]]]],
        cidrGroup("g", "10.1.0.0/16", "2001:db8::/32")),
      """
      default/productpage -> 10.1.0.1 80/TCP allow
      default/productpage -> 2001:db8::1 80/TCP drop
      """),
    Scenario(
      "a deny rule does not deny what its exception covers",
      about(
        [
          "egress": [["toEntities": ["all"]]],
          "egressDeny": [["toCIDRSet": [["cidrGroupRef": "g", "except": ["0.0.0.0/0"]]]]],
        ],
        cidrGroup("g", "10.0.0.0/8", "2001:db8::/32")),
      """
      default/productpage -> 10.1.0.1 80/TCP allow
      default/productpage -> 2001:db8::1 80/TCP deny
      """),
    Scenario(
      "groups by their labels",
      about(
        [
          "egress": [
            [
              "toCIDRSet": [
                ["cidrGroupSelector": ["matchExpressions": [["key": "team", "operator": "In", "values": ["a", "b"]]]]]
              ]
            ]
          ]
        ],
        cidrGroup("a", labels: ["team": "a"], "10.1.0.0/16"), cidrGroup("b", labels: ["team": "b"], "10.2.0.0/16"),
        cidrGroup("c", labels: ["team": "c"], "10.3.0.0/16")),
      """
      default/productpage -> 10.1.0.1 80/TCP allow
      default/productpage -> 10.2.0.1 80/TCP allow
      default/productpage -> 10.3.0.1 80/TCP drop
      """),
    Scenario(
      "a group that is not there names nothing, and the status says so",
      about(["ingress": [["fromCIDRSet": [["cidrGroupRef": "g"]]]]]),
      "10.2.0.1 => default/productpage 80/TCP drop", state: .partial,
      issues: ["spec.ingress[0].fromCIDRSet[0].cidrGroupRef"]),
    Scenario(
      "a deny rule with a group",
      about(
        ["egress": [["toEntities": ["all"]]], "egressDeny": [["toCIDRSet": [["cidrGroupRef": "g"]]]]],
        cidrGroup("g", "10.0.0.0/8")),
      """
      default/productpage -> 10.1.0.1 80/TCP deny
      default/productpage -> 11.1.0.1 80/TCP allow
      """),
  ]

  static let services = [
    Scenario(
      "a Service by its name is the pods behind it",
      about(
        ["egress": [["toServices": [["k8sService": ["serviceName": "s", "namespace": "other"]]]]]],
        service("s", namespace: "other", selector: ["app": "reviews"]), service("s", selector: ["app": "details"])),
      """
      default/productpage -> other/reviews 80/TCP allow
      default/productpage -> default/reviews 80/TCP drop
      default/productpage -> default/details 80/TCP drop
      """),
    Scenario(
      "Services by their labels, in every namespace, on a port",
      about(
        [
          "egress": [
            [
              "toServices": [["k8sServiceSelector": ["selector": ["matchLabels": ["team": "a"]]]]],
              "toPorts": [["ports": [["port": "80", "protocol": "TCP"]]]],
            ]
          ]
        ],
        service("s", namespace: "other", labels: ["team": "a"], selector: ["app": "reviews"]),
        service("t", labels: ["team": "a"], selector: ["app": "details"]),
        service("u", labels: ["team": "b"], selector: ["app": "reviews"])),
      """
      default/productpage -> other/reviews 80/TCP allow
      default/productpage -> default/details 80/TCP allow
      default/productpage -> default/details 81/TCP drop
      default/productpage -> default/reviews 80/TCP drop
      """),
    Scenario(
      "a Service without a selector is its endpoints",
      about(
        ["egress": [["toServices": [["k8sService": ["serviceName": "s", "namespace": "default"]]]]]],
        service("s"), endpoints("s", "192.0.2.1"), endpointSlice("s", "2001:db8::1"), endpointSlice("t", "192.0.2.2")),
      """
      default/productpage -> 192.0.2.1 80/TCP allow
      default/productpage -> 2001:db8::1 80/TCP allow
      default/productpage -> 192.0.2.2 80/TCP drop
      """),
    Scenario(
      "a Service that is not there names nobody, and the status says so",
      about([
        "egressDeny": [["toServices": [["k8sService": ["serviceName": "s"]]]]], "egress": [["toEntities": ["all"]]],
      ]),
      "default/productpage -> default/reviews 80/TCP allow", state: .partial,
      issues: ["spec.egressDeny[0].toServices[0].k8sService"]),
  ]

  static let nodes = [
    Scenario(
      "nodes by their labels, this one too",
      about(
        ["ingress": [["fromNodes": [["matchLabels": ["zone": "a"]]]]], "egress": [["toNodes": [[:]]]]],
        node("n1", labels: ["zone": "a"], "192.0.2.1"), node("n2", labels: ["zone": "a"], "192.0.2.2", "2001:db8::2"),
        node("n3", labels: ["zone": "b"], "192.0.2.3")),
      """
      192.0.2.2 => default/productpage 80/TCP allow
      2001:db8::2 => default/productpage 80/TCP allow
      192.0.2.3 => default/productpage 80/TCP drop
      192.0.2.9 => default/productpage 80/TCP drop
      default/productpage -> 192.0.2.1 80/TCP allow
      default/productpage -> 192.0.2.3 80/TCP allow
      default/productpage -> default/reviews 80/TCP drop
      """),
    Scenario(
      "this node by its labels",
      about(["egress": [["toNodes": [["matchLabels": ["zone": "a"]]]]]], node("n1", labels: ["zone": "a"])),
      """
      default/productpage -> host 80/TCP allow
      default/productpage -> remote-node 80/TCP drop
      """),
    Scenario(
      "labels of nodes are none of pods",
      about(
        ["ingress": [["fromEndpoints": [["matchExpressions": [["key": "zone", "operator": "Exists"]]]]]]],
        node("n2", labels: ["zone": "a"], "192.0.2.2")),
      "192.0.2.2 => default/productpage 80/TCP drop"),
    Scenario(
      "remote-node, cluster and world",
      about(
        [
          "ingress": [
            ["fromEntities": ["remote-node"], "toPorts": [["ports": [["port": "1", "protocol": "TCP"]]]]],
            ["fromEntities": ["cluster"], "toPorts": [["ports": [["port": "2", "protocol": "TCP"]]]]],
            ["fromEntities": ["world"], "toPorts": [["ports": [["port": "3", "protocol": "TCP"]]]]],
            ["fromEntities": ["world-ipv4"], "toPorts": [["ports": [["port": "4", "protocol": "TCP"]]]]],
            ["fromEntities": ["world-ipv6"], "toPorts": [["ports": [["port": "5", "protocol": "TCP"]]]]],
          ]
        ], node("n2", labels: ["zone": "a"], "192.0.2.2")),
      """
      192.0.2.2 => default/productpage 1/TCP allow
      192.0.2.2 => default/productpage 2/TCP allow
      192.0.2.2 => default/productpage 3/TCP drop
      192.0.2.9 => default/productpage 1/TCP drop
      192.0.2.9 => default/productpage 3/TCP allow
      192.0.2.9 => default/productpage 4/TCP allow
      192.0.2.9 => default/productpage 5/TCP drop
      2001:db8::9 => default/productpage 4/TCP drop
      2001:db8::9 => default/productpage 5/TCP allow
      """),
    Scenario(
      "the API server outside of the cluster is world too",
      about(
        [
          "egress": [
            ["toEntities": ["kube-apiserver"], "toPorts": [["ports": [["port": "6443", "protocol": "TCP"]]]]],
            ["toCIDR": ["192.0.2.0/24"], "toPorts": [["ports": [["port": "1", "protocol": "TCP"]]]]],
            ["toEntities": ["world"], "toPorts": [["ports": [["port": "2", "protocol": "TCP"]]]]],
          ]
        ], endpoints("kubernetes", "192.0.2.7"), endpointSlice("kubernetes", "2001:db8::7"),
        endpoints("kubernetes", namespace: "other", "192.0.2.8")),
      """
      default/productpage -> 192.0.2.7 6443/TCP allow
      default/productpage -> 2001:db8::7 6443/TCP allow
      default/productpage -> 192.0.2.8 6443/TCP drop
      default/productpage -> 192.0.2.7 1/TCP allow
      default/productpage -> 192.0.2.7 2/TCP allow
      """),
    Scenario(
      "the API server on a node",
      about(
        ["egress": [["toEntities": ["kube-apiserver"]]]], endpointSlice("kubernetes", "192.0.2.2", "192.0.2.1"),
        node("n1", "192.0.2.1"), node("n2", "192.0.2.2"), node("n3", "192.0.2.3")),
      """
      default/productpage -> 192.0.2.2 6443/TCP allow
      default/productpage -> 192.0.2.1 6443/TCP allow
      default/productpage -> 192.0.2.3 6443/TCP drop
      """),
  ]

  static let required = [
    Scenario(
      "fromRequires narrows the endpoints of every rule about the subject, and nothing else",
      [
        policy(
          "a",
          spec: [
            "endpointSelector": ["matchLabels": ["app": "productpage"]],
            "ingress": [["fromRequires": [["matchLabels": ["app": "reviews"]]]]],
          ]),
        policy(
          "b",
          spec: [
            "endpointSelector": [:], "ingress": [["fromEndpoints": [[:]]], ["fromEntities": ["world"]]],
          ]),
      ],
      """
      default/reviews => default/productpage 80/TCP allow
      default/details => default/productpage 80/TCP drop
      8.8.8.8 => default/productpage 80/TCP allow
      default/details => default/reviews 80/TCP allow
      """),
    Scenario(
      "requirements of deny rules are for deny rules",
      about([
        "ingress": [["fromEndpoints": [[:]]]],
        "ingressDeny": [["fromRequires": [["matchLabels": ["app": "reviews"]]]], ["fromEndpoints": [[:]]]],
      ]),
      """
      default/reviews => default/productpage 80/TCP deny
      default/details => default/productpage 80/TCP allow
      """),
  ]

  /// After each step the same as if all had been there from the start.
  @Test func changesOfWhatIsReferredTo() throws {
    var book = PolicyBook(node: "n1")
    let cluster = ScenarioTests.cluster
    let policies = ReferenceTests.about(
      [
        "egress": [
          ["toServices": [["k8sService": ["serviceName": "s", "namespace": "default"]]]],
          ["toCIDRSet": [["cidrGroupRef": "g"]]], ["toNodes": [["matchLabels": ["zone": "a"]]]],
          ["toEntities": ["kube-apiserver"]],
        ]
      ])
    let (documents, nodes) = book.start(try policies.map { try ClusterInput($0) })
    var compiler = PolicyCompiler()
    _ = compiler.update(PolicyDelta(cluster.snapshot(documents, nodes: nodes)))
    func step(_ object: JSONValue, deleted: Bool = false, _ expectations: String) throws {
      if let delta = book.apply(try ClusterInput(object, deleted: deleted)) { _ = compiler.update(delta) }
      try Scenario("", [], expectations).check(compiler.compiled, cluster)
    }
    let to = "default/productpage ->"
    try step(service("s", selector: ["app": "details"]), "\(to) default/details 80/TCP allow")
    try step(service("s"), "\(to) default/details 80/TCP drop")
    try step(endpoints("s", "192.0.2.1"), "\(to) 192.0.2.1 80/TCP allow")
    try step(
      endpointSlice("s", "192.0.2.2"), "\(to) 192.0.2.1 80/TCP allow\n\(to) 192.0.2.2 80/TCP allow")
    try step(
      endpoints("s", "192.0.2.1"), deleted: true, "\(to) 192.0.2.1 80/TCP drop\n\(to) 192.0.2.2 80/TCP allow")
    try step(service("s"), deleted: true, "\(to) 192.0.2.2 80/TCP drop")
    try step(cidrGroup("g", "10.0.0.0/8"), "\(to) 10.0.0.1 80/TCP allow")
    try step(cidrGroup("g", "11.0.0.0/8"), "\(to) 10.0.0.1 80/TCP drop\n\(to) 11.0.0.1 80/TCP allow")
    try step(cidrGroup("g", "11.0.0.0/8"), deleted: true, "\(to) 11.0.0.1 80/TCP drop")
    try step(node("n2", labels: ["zone": "a"], "192.0.2.9"), "\(to) 192.0.2.9 80/TCP allow")
    try step(node("n2", labels: ["zone": "b"], "192.0.2.9"), "\(to) 192.0.2.9 80/TCP drop")
    try step(endpoints("kubernetes", "192.0.2.9"), "\(to) 192.0.2.9 80/TCP allow")
    try step(node("n2", "192.0.2.9"), deleted: true, "\(to) 192.0.2.9 80/TCP allow")
    try step(endpoints("kubernetes", "192.0.2.9"), deleted: true, "\(to) 192.0.2.9 80/TCP drop")
    #expect(compiler.cidrIdentities.isEmpty)
  }

  @Test func aChangeThatMeansNothingIsNone() throws {
    var book = PolicyBook(node: "n1")
    _ = book.start(
      try ReferenceTests.about(["egress": [["toServices": [["k8sService": ["serviceName": "s"]]]]]]).map {
        try ClusterInput($0)
      })
    #expect(book.apply(try ClusterInput(endpointSlice("t", "192.0.2.1"))) == nil)
    #expect(book.apply(try ClusterInput(cidrGroup("g", "10.0.0.0/8"))) == nil)
    #expect(book.apply(try ClusterInput(service("t", selector: ["a": "b"]))) == nil)
    #expect(book.apply(try ClusterInput(service("s", selector: ["a": "b"])))?.changedPolicies.count == 1)
    #expect(book.apply(try ClusterInput(endpointSlice("s", "192.0.2.1"))) == nil)
  }

  @Test func rulesCarryWhatTheirPolicySaysOfThem() throws {
    let document = try document(
      policy(spec: [
        "endpointSelector": [:], "description": "why", "log": ["value": "tag"], "ingress": [["fromEntities": ["all"]]],
      ]))
    var compiler = PolicyCompiler()
    _ = compiler.update(PolicyDelta(PolicySnapshot(policies: [document])))
    let origin = try #require(compiler.rules.origins.values.first { $0.object != nil })
    #expect(origin.description == "why" && origin.log == "tag")
  }
}
