import Identity
import JSON
import Policy
import Testing

@Suite struct ScenarioTests {
  @Test(arguments: selectors + peers + cidrs + entities) func whoIsSelected(_ scenario: Scenario) throws {
    try scenario.check(ScenarioTests.cluster)
  }

  @Test(arguments: ports + http + denies + defaults) func whatIsAllowed(_ scenario: Scenario) throws {
    try scenario.check(ScenarioTests.cluster)
  }

  @Test(arguments: proxied) func rulesForTheProxy(_ scenario: Scenario) throws {
    try scenario.check(ScenarioTests.cluster)
  }

  @Test(arguments: unenforced) func whatIsNotEnforcedStaysClosed(_ scenario: Scenario) throws {
    try scenario.check(ScenarioTests.cluster)
  }

  static let cluster: Cluster = {
    var cluster = Cluster()
    let web: Set = [NamedPort(name: "http", protocol: 6, port: 9080), NamedPort(name: "dns", protocol: 17, port: 5353)]
    cluster.add("default", "productpage", ["app": "productpage"], account: "productpage", ports: web)
    cluster.add(
      "default", "reviews", ["app": "reviews", "version": "v1"],
      ports: [NamedPort(name: "http", protocol: 6, port: 8081)])
    cluster.add("default", "details", ["app": "details"])
    cluster.add(
      "other", "reviews", ["app": "reviews"], account: "productpage",
      ports: [NamedPort(name: "http", protocol: 6, port: 8082)])
    return cluster
  }()

  /// A policy about productpage.
  static func about(_ members: JSONValue) -> [JSONValue] {
    var spec: JSONValue = ["endpointSelector": ["matchLabels": ["app": "productpage"]]]
    for (key, value) in members.objectValue ?? [:] { spec[key] = value }
    return [policy(spec: spec)]
  }

  static let selectors = [
    Scenario(
      "the selector {} is every pod of the namespace",
      [policy(spec: ["endpointSelector": [:], "ingress": [["fromEndpoints": [["matchLabels": ["app": "details"]]]]]])],
      """
      default/details => default/reviews 80/TCP allow
      default/reviews => default/productpage 80/TCP drop
      default/reviews => other/reviews 80/TCP allow
      """),
    Scenario(
      "a clusterwide selector {} is every pod",
      [
        policy(
          namespace: nil,
          spec: ["endpointSelector": [:], "ingress": [["fromEndpoints": [["matchLabels": ["app": "details"]]]]]])
      ],
      """
      default/details => other/reviews 80/TCP allow
      default/reviews => other/reviews 80/TCP drop
      """),
    Scenario(
      "expressions",
      [
        policy(spec: [
          "endpointSelector": [
            "matchExpressions": [
              ["key": "app", "operator": "In", "values": ["reviews", "details"]],
              ["key": "version", "operator": "Exists"],
            ]
          ],
          "ingress": [
            [
              "fromEndpoints": [
                [
                  "matchExpressions": [
                    ["key": "app", "operator": "NotIn", "values": ["details"]],
                    ["key": "version", "operator": "DoesNotExist"],
                  ]
                ]
              ]
            ]
          ],
        ])
      ],
      """
      default/productpage => default/reviews 80/TCP allow
      default/details => default/reviews 80/TCP drop
      default/reviews => default/reviews 80/TCP drop
      default/reviews => default/details 80/TCP allow
      """),
    Scenario(
      "sources of labels: any: and k8s: and none",
      about([
        "ingress": [
          ["fromEndpoints": [["matchLabels": ["any:app": "reviews"]], ["matchLabels": ["k8s:app": "details"]]]]
        ]
      ]),
      """
      default/reviews => default/productpage 80/TCP allow
      default/details => default/productpage 80/TCP allow
      default/productpage => default/productpage 80/TCP drop
      """),
    Scenario(
      "the subject is of the policy's namespace whatever it says",
      [
        policy(spec: [
          "endpointSelector": ["matchLabels": ["k8s:io.kubernetes.pod.namespace": "other", "app": "reviews"]],
          "ingress": [[:]],
        ])
      ],
      """
      default/details => other/reviews 80/TCP allow
      default/details => default/reviews 80/TCP drop
      """,
      state: .partial, issues: ["spec.endpointSelector.matchLabels[k8s:io.kubernetes.pod.namespace]"]),
  ]

  static let peers = [
    Scenario(
      "peers are of the policy's namespace",
      about(["ingress": [["fromEndpoints": [["matchLabels": ["app": "reviews"]]]]]]),
      """
      default/reviews => default/productpage 80/TCP allow
      other/reviews => default/productpage 80/TCP drop
      8.8.8.8 => default/productpage 80/TCP drop
      """),
    Scenario(
      "unless they name another, or its labels, or a service account",
      about([
        "ingress": [
          [
            "fromEndpoints": [["matchLabels": ["k8s:io.kubernetes.pod.namespace": "other"]]],
            "toPorts": [["ports": [["port": "1", "protocol": "TCP"]]]],
          ],
          [
            "fromEndpoints": [["matchLabels": ["io.cilium.k8s.namespace.labels.team": "team-other"]]],
            "toPorts": [["ports": [["port": "2", "protocol": "TCP"]]]],
          ],
          [
            "fromEndpoints": [
              [
                "matchLabels": [
                  "k8s:io.kubernetes.pod.namespace": "other", "k8s:io.cilium.k8s.policy.serviceaccount": "productpage",
                ]
              ]
            ], "toPorts": [["ports": [["port": "3", "protocol": "TCP"]]]],
          ],
          [
            "fromEndpoints": [["matchExpressions": [["key": "io.kubernetes.pod.namespace", "operator": "Exists"]]]],
            "toPorts": [["ports": [["port": "4", "protocol": "TCP"]]]],
          ],
        ]
      ]),
      """
      other/reviews => default/productpage 1/TCP allow
      other/reviews => default/productpage 2/TCP allow
      other/reviews => default/productpage 3/TCP allow
      other/reviews => default/productpage 4/TCP allow
      default/reviews => default/productpage 4/TCP allow
      default/reviews => default/productpage 1/TCP drop
      8.8.8.8 => default/productpage 4/TCP drop
      """),
    Scenario(
      "in a clusterwide policy peers are pods of all namespaces",
      [
        policy(
          namespace: nil,
          spec: ["endpointSelector": ["matchLabels": ["app": "productpage"]], "egress": [["toEndpoints": [[:]]]]])
      ],
      """
      default/productpage -> other/reviews 80/TCP allow
      default/productpage -> default/reviews 80/UDP allow
      default/productpage -> 8.8.8.8 80/TCP drop
      default/productpage -> host 80/TCP drop
      """),
    Scenario(
      "an empty list is no peer",
      about(["ingress": [["fromEndpoints": []]], "egress": [["toEntities": []]]]),
      """
      default/reviews => default/productpage 80/TCP drop
      default/productpage -> default/reviews 80/TCP drop
      """),
    Scenario(
      "ports without peers are for every peer",
      about(["ingress": [["toPorts": [["ports": [["port": "80", "protocol": "TCP"]]]]]]]),
      """
      8.8.8.8 => default/productpage 80/TCP allow
      other/reviews => default/productpage 80/TCP allow
      other/reviews => default/productpage 81/TCP drop
      """),
    Scenario(
      "the rule {} allows nothing and turns default deny on",
      about(["egress": [[:]]]),
      """
      default/productpage -> default/reviews 80/TCP drop
      default/reviews => default/productpage 80/TCP allow
      """),
    Scenario(
      "reserved labels",
      about(["ingress": [["fromEndpoints": [["matchLabels": ["reserved:remote-node": ""]]]]]]),
      """
      remote-node => default/productpage 80/TCP allow
      kube-apiserver => default/productpage 80/TCP drop
      """),
  ]

  static let cidrs = [
    Scenario(
      "blocks select addresses outside of the cluster only",
      about(["egress": [["toCIDR": ["10.0.0.0/8", "2001:db8::1"]]]]),
      """
      default/productpage -> 10.1.2.3 80/TCP allow
      default/productpage -> 11.1.2.3 80/TCP drop
      default/productpage -> 2001:db8::1 80/TCP allow
      default/productpage -> 2001:db8::2 80/TCP drop
      default/productpage -> default/reviews 80/TCP drop
      default/productpage -> host 80/TCP drop
      """),
    Scenario(
      "an exception inside of a block, and a block inside of the exception",
      about([
        "egress": [["toCIDRSet": [["cidr": "10.0.0.0/8", "except": ["10.96.0.0/12"]], ["cidr": "10.96.1.0/24"]]]]
      ]),
      """
      default/productpage -> 10.1.2.3 80/TCP allow
      default/productpage -> 10.97.0.1 80/TCP drop
      default/productpage -> 10.96.1.1 80/TCP allow
      """),
    Scenario(
      "an address inside of two blocks matches both",
      about([
        "ingress": [
          ["fromCIDR": ["10.0.0.0/8"], "toPorts": [["ports": [["port": "80", "protocol": "TCP"]]]]],
          ["fromCIDR": ["10.1.2.3/32"], "toPorts": [["ports": [["port": "81", "protocol": "TCP"]]]]],
        ]
      ]),
      """
      10.1.2.3 => default/productpage 80/TCP allow
      10.1.2.3 => default/productpage 81/TCP allow
      10.1.2.4 => default/productpage 81/TCP drop
      """),
    Scenario(
      "a whole family is not the other one",
      about(["egress": [["toCIDR": ["0.0.0.0/0"]]]]),
      """
      default/productpage -> 8.8.8.8 80/TCP allow
      default/productpage -> 2a00::1 80/TCP drop
      default/productpage -> default/reviews 80/TCP drop
      """),
    Scenario(
      "short IPv6 prefixes do not cover IPv4",
      about(["egress": [["toCIDR": ["::/0", "::/8"]]]]),
      """
      default/productpage -> 2a00::1 80/TCP allow
      default/productpage -> 8.8.8.8 80/TCP drop
      """),
  ]

  static let entities = [
    Scenario(
      "world is every address outside, also one that has an identity of its own",
      about([
        "egress": [["toEntities": ["world"]], ["toCIDR": ["10.0.0.0/8"], "toPorts": [["ports": [["port": "1"]]]]]]
      ]),
      """
      default/productpage -> 8.8.8.8 80/TCP allow
      default/productpage -> 10.0.0.1 80/TCP allow
      default/productpage -> 2a00::1 80/TCP allow
      default/productpage -> host 80/TCP drop
      default/productpage -> default/reviews 80/TCP drop
      """),
    Scenario(
      "cluster",
      about(["ingress": [["fromEntities": ["cluster"]]]]),
      """
      other/reviews => default/productpage 80/TCP allow
      remote-node => default/productpage 80/TCP allow
      kube-apiserver => default/productpage 80/TCP allow
      health => default/productpage 80/TCP allow
      ingress => default/productpage 80/TCP allow
      unmanaged => default/productpage 80/TCP allow
      init => default/productpage 80/TCP allow
      8.8.8.8 => default/productpage 80/TCP drop
      """),
    Scenario(
      "all",
      about(["ingress": [["fromEntities": ["all"]]], "egress": [["toEntities": ["none"]]]]),
      """
      8.8.8.8 => default/productpage 80/TCP allow
      other/reviews => default/productpage 0/ICMP allow
      default/productpage -> 8.8.8.8 80/TCP drop
      """),
    Scenario(
      "the node reaches its pods",
      about(["ingress": [["fromEntities": ["health"]]]]),
      """
      host => default/productpage 80/TCP allow
      remote-node => default/productpage 80/TCP drop
      """),
    Scenario(
      "unless a deny rule forbids it",
      about(["ingressDeny": [["fromEntities": ["host"]]]]),
      "host => default/productpage 80/TCP deny"),
    Scenario(
      "or the option says so",
      about(["ingress": [["fromEntities": ["health"]]]]),
      "host => default/productpage 80/TCP drop", options: PolicyOptions(hostAccess: .policy)),
  ]
}
