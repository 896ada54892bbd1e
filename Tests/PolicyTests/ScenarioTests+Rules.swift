import Identity
import JSON
import Policy

extension ScenarioTests {
  static let ports = [
    Scenario(
      "ranges, overlapping",
      about([
        "ingress": [
          [
            "toPorts": [
              [
                "ports": [
                  ["port": "8000", "endPort": 9000, "protocol": "TCP"],
                  ["port": "8500", "endPort": 9500, "protocol": "TCP"],
                ]
              ]
            ]
          ]
        ]
      ]),
      """
      other/reviews => default/productpage 7999/TCP drop
      other/reviews => default/productpage 8000/TCP allow
      other/reviews => default/productpage 9000/TCP allow
      other/reviews => default/productpage 9001/TCP allow
      other/reviews => default/productpage 9500/TCP allow
      other/reviews => default/productpage 9501/TCP drop
      other/reviews => default/productpage 9000/UDP drop
      """),
    Scenario(
      "ANY is TCP, UDP and SCTP; port 0 is every port",
      about(["ingress": [["toPorts": [["ports": [["port": "53"], ["port": "0", "protocol": "UDP"]]]]]]]),
      """
      other/reviews => default/productpage 53/TCP allow
      other/reviews => default/productpage 53/SCTP allow
      other/reviews => default/productpage 54/TCP drop
      other/reviews => default/productpage 54/UDP allow
      other/reviews => default/productpage 0/ICMP drop
      """),
    Scenario(
      "protocols without ports",
      about(["ingress": [["toPorts": [["ports": [["protocol": "GRE"]]]]]]]),
      """
      other/reviews => default/productpage 0/GRE allow
      other/reviews => default/productpage 0/TCP drop
      """),
    Scenario(
      "names of ports are the subject's on ingress, with their protocol",
      about(["ingress": [["toPorts": [["ports": [["port": "http", "protocol": "TCP"], ["port": "DNS"]]]]]]]),
      """
      other/reviews => default/productpage 9080/TCP allow
      other/reviews => default/productpage 5353/UDP allow
      other/reviews => default/productpage 5353/TCP drop
      other/reviews => default/productpage 8081/TCP drop
      """),
    Scenario(
      "and the peer's on egress",
      about(["egress": [["toPorts": [["ports": [["port": "http", "protocol": "TCP"]]]]]]]),
      """
      default/productpage -> default/reviews 8081/TCP allow
      default/productpage -> other/reviews 8082/TCP allow
      default/productpage -> other/reviews 8081/TCP drop
      default/productpage -> 8.8.8.8 8081/TCP drop
      """),
    Scenario(
      "ICMP types by number and name, of both families",
      about([
        "ingress": [
          [
            "icmps": [
              [
                "fields": [
                  ["type": 8, "family": "IPv4"], ["type": "EchoRequest", "family": "IPv6"], ["type": "TimeExceeded"],
                ]
              ]
            ]
          ]
        ]
      ]),
      """
      8.8.8.8 => default/productpage 8/ICMP allow
      8.8.8.8 => default/productpage 11/ICMP allow
      8.8.8.8 => default/productpage 0/ICMP drop
      2a00::1 => default/productpage 128/ICMPv6 allow
      2a00::1 => default/productpage 8/ICMPv6 drop
      2a00::1 => default/productpage 8/TCP drop
      """),
  ]

  private static let get: JSONValue = [
    "ports": [["port": "9080", "protocol": "TCP"]], "rules": ["http": [["method": "GET"]]],
  ]
  private static let put: JSONValue = [
    "ports": [["port": "9080", "protocol": "TCP"]], "rules": ["http": [["method": "PUT"]]],
  ]
  private static let plain: JSONValue = ["ports": [["port": "9080", "protocol": "TCP"]]]

  static let http = [
    Scenario(
      "requests to a pod, of the documentation's shape",
      about([
        "ingress": [
          [
            "fromEndpoints": [["matchLabels": ["app": "reviews"]]],
            "toPorts": [
              [
                "ports": [["port": "9080", "protocol": "TCP"]],
                "rules": [
                  "http": [
                    ["method": "GET", "path": "/.*"], ["method": "POST", "path": "/api/.*"],
                    ["method": "POST", "path": "/api/v1/auth", "headers": ["X-Auth-Token"]],
                  ]
                ],
              ]
            ],
          ]
        ]
      ]),
      """
      default/reviews => default/productpage 9080/TCP http(GET POST)
      default/reviews => default/productpage 9081/TCP drop
      default/details => default/productpage 9080/TCP drop
      """),
    Scenario(
      "by service account",
      about([
        "ingress": [
          [
            "fromEndpoints": [
              [
                "matchLabels": [
                  "k8s:io.kubernetes.pod.namespace": "other", "k8s:io.cilium.k8s.policy.serviceaccount": "productpage",
                ]
              ]
            ],
            "toPorts": [get],
          ]
        ]
      ]),
      """
      other/reviews => default/productpage 9080/TCP http(GET)
      default/reviews => default/productpage 9080/TCP drop
      """),
    Scenario(
      "rules for one peer and for all join",
      about([
        "ingress": [["fromEndpoints": [["matchLabels": ["app": "reviews"]]], "toPorts": [get]], ["toPorts": [put]]]
      ]),
      """
      default/reviews => default/productpage 9080/TCP http(GET PUT)
      default/details => default/productpage 9080/TCP http(PUT)
      """),
    Scenario(
      "rules on a port and on a range around it join",
      about([
        "ingress": [
          [
            "fromEntities": ["cluster"],
            "toPorts": [
              [
                "ports": [["port": "9000", "endPort": 9100, "protocol": "TCP"]], "rules": ["http": [["method": "GET"]]],
              ]
            ],
          ],
          ["toPorts": [put]],
        ]
      ]),
      """
      default/reviews => default/productpage 9080/TCP http(GET PUT)
      default/reviews => default/productpage 9081/TCP http(GET)
      8.8.8.8 => default/productpage 9080/TCP http(PUT)
      """),
    Scenario(
      "a plain rule for the peer beats HTTP rules for all, and the other way round",
      about([
        "ingress": [["fromEndpoints": [["matchLabels": ["app": "reviews"]]], "toPorts": [plain]], ["toPorts": [get]]]
      ]),
      """
      default/reviews => default/productpage 9080/TCP allow
      default/details => default/productpage 9080/TCP http(GET)
      """),
    Scenario(
      "the node passes HTTP rules by",
      about(["ingress": [["toPorts": [get]]]]), "host => default/productpage 9080/TCP allow"),
  ]

  static let denies = [
    Scenario(
      "deny goes before allow, whichever is narrower",
      about([
        "ingress": [["fromEntities": ["all"]]],
        "ingressDeny": [
          [
            "fromEndpoints": [["matchLabels": ["app": "reviews"]]],
            "toPorts": [["ports": [["port": "80", "protocol": "TCP"]]]],
          ],
          ["fromCIDR": ["10.0.0.0/8"]],
        ],
      ]),
      """
      default/reviews => default/productpage 80/TCP deny
      default/reviews => default/productpage 81/TCP allow
      default/details => default/productpage 80/TCP allow
      10.0.0.1 => default/productpage 80/TCP deny
      11.0.0.1 => default/productpage 80/TCP allow
      """),
    Scenario(
      "a wide deny over a narrow allow",
      about([
        "egress": [
          [
            "toEndpoints": [["matchLabels": ["app": "reviews"]]],
            "toPorts": [["ports": [["port": "80", "protocol": "TCP"]]]],
          ]
        ],
        "egressDeny": [["toPorts": [["ports": [["port": "1", "endPort": 1023, "protocol": "ANY"]]]]]],
      ]),
      """
      default/productpage -> default/reviews 80/TCP deny
      default/productpage -> default/reviews 8080/TCP drop
      """),
    Scenario(
      "a deny rule alone denies the rest too",
      about(["ingressDeny": [["fromEntities": ["world"]]]]),
      """
      8.8.8.8 => default/productpage 80/TCP deny
      default/reviews => default/productpage 80/TCP drop
      """),
  ]

  static let defaults = [
    Scenario(
      "a direction without rules stays open",
      about(["ingress": [["fromEntities": ["host"]]]]),
      """
      default/productpage -> 8.8.8.8 80/TCP allow
      default/reviews => default/productpage 80/TCP drop
      default/productpage => default/reviews 80/TCP allow
      """),
    Scenario(
      "enableDefaultDeny false leaves the rest allowed and denies what a rule denies",
      about(["enableDefaultDeny": ["ingress": false], "ingressDeny": [["fromEntities": ["world"]]]]),
      """
      8.8.8.8 => default/productpage 80/TCP deny
      default/reviews => default/productpage 80/TCP allow
      """),
    Scenario(
      "one policy with default deny is enough",
      [
        policy(
          "a",
          spec: [
            "endpointSelector": [:], "enableDefaultDeny": ["ingress": false], "ingress": [["fromEntities": ["world"]]],
          ]),
        policy("b", spec: ["endpointSelector": [:], "ingress": [["fromEntities": ["cluster"]]]]),
      ],
      """
      8.8.8.8 => default/productpage 80/TCP allow
      default/reviews => default/productpage 80/TCP allow
      world => default/productpage 80/TCP allow
      """),
    Scenario(
      "enableDefaultDeny true closes a direction without rules",
      about(["enableDefaultDeny": ["egress": true], "ingress": [["fromEntities": ["all"]]]]),
      "default/productpage -> default/reviews 80/TCP drop"),
  ]

  private static let closedIngress = "default/reviews => default/productpage 9080/TCP drop"
  private static let closedEgress = "default/productpage -> 8.8.8.8 53/UDP drop"
  private static let deniedIngress = "default/details => default/productpage 9080/TCP deny"

  private static func ingress(_ name: String, _ rule: JSONValue, _ path: String) -> Scenario {
    Scenario(name, about(["ingress": [rule]]), closedIngress, state: .rejected, issues: ["spec.ingress[0].\(path)"])
  }
  private static func egress(_ name: String, _ rule: JSONValue, _ path: String) -> Scenario {
    Scenario(name, about(["egress": [rule]]), closedEgress, state: .rejected, issues: ["spec.egress[0].\(path)"])
  }
  private static func ingressDeny(_ name: String, _ rule: JSONValue, _ path: String) -> Scenario {
    Scenario(
      name, about(["ingress": [["fromEntities": ["all"]]], "ingressDeny": [rule]]), deniedIngress, state: .partial,
      issues: ["spec.ingressDeny[0].\(path)"])
  }
  private static func port(_ members: JSONValue) -> JSONValue {
    var rule = plain
    for (key, value) in members.objectValue ?? [:] { rule[key] = value }
    return ["toPorts": [rule]]
  }

  static let proxied = [
    Scenario(
      "HTTP rules on egress", about(["egress": [["toPorts": [get]]]]),
      """
      default/productpage -> default/reviews 9080/TCP http(GET)
      default/productpage -> 8.8.8.8 9080/TCP http(GET)
      default/productpage -> 8.8.8.8 9081/TCP drop
      """),
    Scenario(
      "DNS rules, ANY is UDP and TCP",
      about([
        "egress": [
          [
            "toPorts": [
              [
                "ports": [["port": "53", "protocol": "ANY"]],
                "rules": ["dns": [["matchName": "A.example."], ["matchPattern": "*.b.example"]]],
              ]
            ]
          ]
        ]
      ]),
      """
      default/productpage -> 8.8.8.8 53/UDP dns(*.b.example a.example)
      default/productpage -> default/reviews 53/TCP dns(*.b.example a.example)
      default/productpage -> 8.8.8.8 53/SCTP drop
      default/productpage -> 8.8.8.8 54/UDP drop
      """),
    Scenario(
      "server names, ANY is TCP",
      about([
        "egress": [
          [
            "toPorts": [["ports": [["port": "443", "protocol": "ANY"]], "serverNames": ["A.example", "*.b.example"]]]
          ],
          ["toPorts": [["ports": [["port": "443", "protocol": "TCP"]], "serverNames": ["**.c.example"]]]],
        ],
        "ingress": [["toPorts": [["ports": [["port": "443", "protocol": "TCP"]], "serverNames": ["a.example"]]]]],
      ]),
      """
      default/productpage -> 8.8.8.8 443/TCP tls(**.c.example *.b.example a.example)
      default/productpage -> 8.8.8.8 443/UDP drop
      default/productpage -> 8.8.8.8 80/TCP drop
      default/reviews => default/productpage 443/TCP tls(a.example)
      """),
    Scenario(
      "one port is read as one protocol, the first",
      about([
        "egress": [
          ["toPorts": [["ports": [["port": "443", "protocol": "TCP"]], "serverNames": ["a.example"]]]],
          [
            "toCIDR": ["8.8.8.8/32"],
            "toPorts": [["ports": [["port": "443", "protocol": "TCP"]], "rules": ["http": [["method": "GET"]]]]],
          ],
        ]
      ]),
      """
      default/productpage -> 8.8.8.8 443/TCP http(GET)
      default/productpage -> 9.9.9.9 443/TCP tls(a.example)
      """, state: .partial, issues: ["spec.egress[0].toPorts[0].serverNames[0]"]),
    Scenario(
      "DNS rules of two places are united, a plain allow is wider",
      about([
        "egress": [
          [
            "toPorts": [
              ["ports": [["port": "53", "protocol": "UDP"]], "rules": ["dns": [["matchName": "a.example"]]]]
            ]
          ],
          [
            "toCIDR": ["8.8.8.8/32"],
            "toPorts": [["ports": [["port": "53", "protocol": "UDP"]], "rules": ["dns": [["matchPattern": "*"]]]]],
          ], ["toCIDR": ["9.9.9.9/32"], "toPorts": [["ports": [["port": "53", "protocol": "UDP"]]]]],
        ]
      ]),
      """
      default/productpage -> 8.8.8.8 53/UDP dns(* a.example)
      default/productpage -> 8.8.4.4 53/UDP dns(a.example)
      default/productpage -> 9.9.9.9 53/UDP allow
      """),
  ]

  static let unenforced = [
    ingress("fromGroups", ["fromGroups": [["aws": ["region": "r"]]]], "fromGroups"),
    ingress("authentication", ["fromEntities": ["all"], "authentication": ["mode": "required"]], "authentication"),
    ingress("TLS", port(["terminatingTLS": ["secret": ["name": "s"]]]), "toPorts[0].terminatingTLS"),
    ingress(
      "server names over UDP",
      ["toPorts": [["ports": [["port": "443", "protocol": "UDP"]], "serverNames": ["a.example"]]]],
      "toPorts[0].ports[0].protocol"),
    ingress("Kafka", port(["rules": ["kafka": [["topic": "t"]]]]), "toPorts[0].rules.kafka"),
    ingress("other L7", port(["rules": ["l7proto": "x"]]), "toPorts[0].rules.l7proto"),
    ingress("no HTTP rule", port(["rules": ["http": []]]), "toPorts[0].rules.http"),
    ingress("no port", ["toPorts": [[:]]], "toPorts[0]"),
    ingress("no ICMP type", ["icmps": [["fields": []]]], "icmps"),
    Scenario(
      "a Secret that is not there",
      about([
        "ingress": [port(["rules": ["http": [["headerMatches": [["name": "h", "secret": ["name": "s"]]]]]]])]
      ]), closedIngress, state: .partial,
      issues: ["spec.ingress[0].toPorts[0].rules.http[0].headerMatches[0].secret"]),
    ingress(
      "an invalid expression", port(["rules": ["http": [["path": "/("]]]]), "toPorts[0].rules.http[0].path"),
    Scenario(
      "an invalid expression beside a valid one",
      about(["ingress": [port(["rules": ["http": [["path": "/("], ["method": "GET"]]]])]]),
      "default/reviews => default/productpage 9080/TCP http(GET)", state: .partial,
      issues: ["spec.ingress[0].toPorts[0].rules.http[0].path"]),
    egress(
      "no DNS rule", ["toPorts": [["ports": [["port": "53", "protocol": "UDP"]], "rules": ["dns": []]]]],
      "toPorts[0].rules.dns"),
    egress(
      "listeners", port(["listener": ["name": "l", "envoyConfig": ["name": "c"]]]), "toPorts[0].listener"),
    ingressDeny("deny fromGroups", ["fromGroups": [["aws": ["region": "r"]]]], "fromGroups"),
    ingressDeny("deny no port", ["toPorts": [[:]]], "toPorts[0]"),
    Scenario(
      "what is enforced beside what is not",
      about(["egress": [["toGroups": [["aws": ["region": "r"]]]], ["toCIDR": ["8.8.8.8/32"]]]]),
      """
      default/productpage -> 8.8.8.8 53/UDP allow
      default/productpage -> 9.9.9.9 53/UDP drop
      """,
      state: .partial, issues: ["spec.egress[0].toGroups"]),
    Scenario(
      "policies about nodes",
      [policy(namespace: nil, spec: ["nodeSelector": [:], "ingress": [["fromEntities": ["remote-node"]]]])],
      """
      default/reviews => default/productpage 80/TCP allow
      default/reviews => host 80/TCP drop
      remote-node => host 80/TCP allow
      host -> default/reviews 80/TCP allow
      """),
    Scenario(
      "policies about all pods are not about the node",
      [policy(namespace: nil, spec: ["endpointSelector": [:], "egress": [[:]]])],
      "default/productpage -> default/reviews 80/TCP drop"),
  ]
}
