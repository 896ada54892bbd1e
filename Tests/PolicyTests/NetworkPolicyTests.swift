import JSON
import Policy
import Testing

/// Kubernetes' NetworkPolicy (API reference, networking.k8s.io/v1).
@Suite struct NetworkPolicyTests {
  @Test(arguments: scenarios) func whatIsAllowed(_ scenario: Scenario) throws {
    try scenario.check(ScenarioTests.cluster)
  }

  private static func ingress(_ rules: JSONValue) -> [JSONValue] {
    [networkPolicy(spec: ["podSelector": ["matchLabels": ["app": "productpage"]], "ingress": rules])]
  }

  static let scenarios = [
    Scenario(
      "without rules it closes ingress alone", [networkPolicy(spec: ["podSelector": [:]])],
      """
      default/reviews => default/productpage 80/TCP drop
      8.8.8.8 => default/details 80/TCP drop
      host => default/productpage 80/TCP allow
      default/productpage -> default/reviews 80/TCP allow
      default/productpage => other/reviews 80/TCP allow
      """),
    Scenario(
      "policyTypes Egress closes egress alone", [networkPolicy(spec: ["podSelector": [:], "policyTypes": ["Egress"]])],
      """
      default/productpage -> default/reviews 80/TCP drop
      default/reviews => default/productpage 80/TCP allow
      """),
    Scenario(
      "an empty rule allows everything", ingress([[:]]),
      """
      default/reviews => default/productpage 80/TCP allow
      8.8.8.8 => default/productpage 8/ICMP allow
      """),
    Scenario(
      "pods, namespaces, and both",
      ingress([
        ["from": [["podSelector": ["matchLabels": ["app": "reviews"]]]], "ports": [["port": 1]]],
        ["from": [["namespaceSelector": ["matchLabels": ["team": "team-other"]]]], "ports": [["port": 2]]],
        [
          "from": [["namespaceSelector": [:], "podSelector": ["matchLabels": ["app": "reviews"]]]],
          "ports": [["port": 3]],
        ], ["from": [["namespaceSelector": [:]]], "ports": [["port": 4]]],
        [
          "from": [
            [
              "namespaceSelector": [
                "matchExpressions": [["key": "team", "operator": "NotIn", "values": ["team-other"]]]
              ]
            ]
          ], "ports": [["port": 5]],
        ],
      ]),
      """
      default/reviews => default/productpage 1/TCP allow
      default/reviews => default/productpage 1/UDP drop
      other/reviews => default/productpage 1/TCP drop
      default/reviews => default/productpage 2/TCP drop
      other/reviews => default/productpage 2/TCP allow
      default/reviews => default/productpage 3/TCP allow
      other/reviews => default/productpage 3/TCP allow
      default/details => default/productpage 3/TCP drop
      default/details => default/productpage 4/TCP allow
      8.8.8.8 => default/productpage 4/TCP drop
      remote-node => default/productpage 4/TCP drop
      default/details => default/productpage 5/TCP allow
      other/reviews => default/productpage 5/TCP drop
      8.8.8.8 => default/productpage 5/TCP drop
      """),
    Scenario(
      "ipBlock with exceptions never means pods",
      ingress([
        [
          "from": [
            ["ipBlock": ["cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]]], ["ipBlock": ["cidr": "2001:db8::/32"]],
          ]
        ]
      ]),
      """
      8.8.8.8 => default/productpage 80/TCP allow
      10.1.1.1 => default/productpage 80/TCP drop
      2001:db8::1 => default/productpage 80/TCP allow
      2001:db9::1 => default/productpage 80/TCP drop
      default/reviews => default/productpage 80/TCP drop
      """),
    Scenario(
      "ports: a range, a name, a whole protocol",
      ingress([
        [
          "ports": [
            ["port": 8000, "endPort": 8010], ["port": "http"], ["protocol": "UDP"], ["protocol": "SCTP", "port": 7],
          ]
        ]
      ]),
      """
      8.8.8.8 => default/productpage 8000/TCP allow
      8.8.8.8 => default/productpage 8010/TCP allow
      8.8.8.8 => default/productpage 8011/TCP drop
      8.8.8.8 => default/productpage 9080/TCP allow
      8.8.8.8 => default/productpage 5/UDP allow
      8.8.8.8 => default/productpage 7/SCTP allow
      8.8.8.8 => default/productpage 8/SCTP drop
      8.8.8.8 => default/productpage 8/ICMP drop
      """),
    Scenario(
      "egress, a name means the peer's port",
      [
        networkPolicy(spec: [
          "podSelector": ["matchLabels": ["app": "productpage"]],
          "egress": [["to": [["podSelector": [:]]], "ports": [["port": "http"]]]],
        ])
      ],
      """
      default/productpage -> default/reviews 8081/TCP allow
      default/productpage -> default/reviews 9080/TCP drop
      default/productpage -> other/reviews 8082/TCP drop
      default/reviews => default/productpage 80/TCP drop
      """),
    Scenario(
      "policies add up, Cilium's too, and only those deny",
      [
        networkPolicy("a", spec: ["podSelector": [:]]),
        networkPolicy(
          "b",
          spec: ["podSelector": [:], "ingress": [["from": [["podSelector": ["matchLabels": ["app": "reviews"]]]]]]]),
        policy(
          "c",
          spec: [
            "endpointSelector": [:], "ingress": [["fromEntities": ["world"]]],
            "ingressDeny": [["fromCIDR": ["9.0.0.0/8"]]],
          ]),
      ],
      """
      default/reviews => default/productpage 80/TCP allow
      8.8.8.8 => default/productpage 80/TCP allow
      9.9.9.9 => default/productpage 80/TCP deny
      default/details => default/productpage 80/TCP drop
      """),
    Scenario(
      "rules of a direction that policyTypes does not name",
      [networkPolicy(spec: ["podSelector": [:], "policyTypes": ["Ingress"], "egress": [["ports": [["port": 1]]]]])],
      """
      default/productpage -> default/reviews 80/TCP allow
      default/reviews => default/productpage 80/TCP drop
      """, state: .partial, issues: ["spec.egress[0]"]),
  ]
}
