import Addressing
import JSON
import Labels
import Testing

@testable import KubernetesAPI

@Suite struct CiliumPolicyTests {
  @Test func decodesAWholePolicy() throws {
    let policy = try CiliumNetworkPolicy(
      yaml(
        """
        apiVersion: cilium.io/v2
        kind: CiliumNetworkPolicy
        metadata: {name: rule1, namespace: prod}
        spec:
          description: "the seed's kind of rule"
          endpointSelector:
            matchLabels: {org: empire, "k8s:class": deathstar}
          ingress:
          - fromEndpoints:
            - matchLabels: {org: empire}
              matchExpressions:
              - {key: "k8s:io.kubernetes.pod.namespace", operator: In, values: [a, b]}
            toPorts:
            - ports:
              - {port: "80", protocol: TCP}
              - {port: "8000", endPort: 8080, protocol: TCP}
              - {port: HTTP, protocol: TCP}
              rules:
                http:
                - {method: POST, path: "/v1/request-landing", host: "", headers: ["X-My-Header true"]}
          - {}
          ingressDeny:
          - fromCIDRSet:
            - {cidr: 10.0.0.0/8, except: [10.96.0.0/12]}
            toPorts: [{ports: [{port: "53"}]}]
          egress:
          - toEntities: [kube-apiserver]
          - toFQDNs: [{matchPattern: "*.cilium.io"}]
          - icmps: [{fields: [{type: 8}, {type: EchoRequest, family: IPv6}]}]
          enableDefaultDeny: {egress: false}
          log: {value: hello}
        """))
    #expect(policy.key == ObjectKey(kind: "CiliumNetworkPolicy", namespace: "prod", name: "rule1"))
    let rule = try #require(policy.rules.first)
    #expect(rule.subject.selector.requirements.map(\.key.description) == ["k8s:class", "any:org"])
    #expect(rule.defaultDeny(.ingress) && !rule.defaultDeny(.egress))
    let ingress = try #require(rule.ingress)
    #expect(ingress.count == 2 && !ingress[1].namesPeers && ingress[1].toPorts == nil)
    let port = try #require(ingress[0].toPorts?.first)
    #expect(port.ports.map(\.port) == [.number(80), .number(8000), .name("http")])
    #expect(port.ports[1].endPort == 8080)
    let http = try #require(port.rules?.http?.first)
    #expect(http.method == "POST" && http.host == nil && http.headers == ["X-My-Header true"])
    #expect(http.fieldPath == "spec.ingress[0].toPorts[0].rules.http[0]")
    #expect(rule.ingressDeny?[0].cidrSet?[0].except.map(\.cidr.description) == ["10.96.0.0/12"])
    #expect(rule.egress?[1].fqdns?.first?.match == .pattern("*.cilium.io"))
    #expect(rule.egress?[2].icmps?.map(\.type) == [8, 128])
  }

  @Test func absentAndEmptyPeersDiffer() throws {
    let rules = try #require(
      policy(spec: "{endpointSelector: {}, ingress: [{}, {fromEndpoints: []}, {fromEndpoints: [{}]}]}").rules.first)
    let ingress = try #require(rules.ingress)
    #expect(ingress.map { $0.endpoints?.count } == [nil, 0, 1])
    #expect(ingress.map(\.namesPeers) == [false, true, true])
    #expect(ingress[2].endpoints?.first?.selectsEverything == true)
  }

  @Test func fieldsForALaterStageKeepTheirPath() throws {
    let rule = try #require(
      policy(
        spec: """
          endpointSelector: {}
          ingress: [{fromRequires: [{matchLabels: {a: b}}], authentication: {mode: required}}]
          egress:
          - toServices: [{k8sService: {serviceName: s, namespace: "n"}}]
          - toPorts: [{ports: [{port: "443", protocol: TCP}], serverNames: [a.b]}]
          """
      ).rules.first)
    #expect(rule.ingress?[0].requires?.map(\.path) == ["spec.ingress[0].fromRequires[0]"])
    #expect(rule.ingress?[0].authentication?.path == "spec.ingress[0].authentication")
    #expect(rule.egress?[0].services?.map(\.path) == ["spec.egress[0].toServices[0].k8sService"])
    #expect(rule.egress?[1].toPorts?[0].serverNames?.first?.path == "spec.egress[1].toPorts[0].serverNames[0]")
  }

  /// A spec, and the path and a part of the message of the error that it earns.
  static let refused: [(spec: String, path: String, message: String)] = [
    ("{ingress: [{}]}", "spec", "endpointSelector or nodeSelector"),
    (
      "{endpointSelector: {}, egress: [{toServices: [{}]}]}", "spec.egress[0].toServices[0]",
      "k8sService and k8sServiceSelector"
    ),
    (
      "{endpointSelector: {}, egress: [{toServices: [{k8sService: {namespace: \"n\"}}]}]}",
      "spec.egress[0].toServices[0].k8sService.serviceName", "required"
    ),
    ("{endpointSelector: {}}", "spec", "at least one element"),
    ("{endpointSelector: {}, ingress: []}", "spec", "at least one element"),
    ("{nodeSelector: {}, ingress: [{}]}", "spec.nodeSelector", "Clusterwide"),
    ("{endpointSelector: {}, nodeSelector: {}, ingress: [{}]}", "spec.nodeSelector", "beside"),
    ("{endpointSelector: {}, ingres: [{}]}", "spec.ingres", "unknown field"),
    ("{endpointSelector: {}, ingress: [{toEndpoints: [{}]}]}", "spec.ingress[0].toEndpoints", "unknown field"),
    ("{endpointSelector: {matchLabel: {a: b}}, ingress: [{}]}", "spec.endpointSelector.matchLabel", "unknown field"),
    (
      "{endpointSelector: {matchLabels: {'a b': c}}, ingress: [{}]}", "spec.endpointSelector.matchLabels[a b]",
      "not a label key"
    ),
    (
      "{endpointSelector: {matchLabels: {a: 'b/c'}}, ingress: [{}]}", "spec.endpointSelector.matchLabels.a",
      "not a label value"
    ),
    (
      "{endpointSelector: {matchExpressions: [{key: a, operator: Is}]}, ingress: [{}]}",
      "spec.endpointSelector.matchExpressions[0].operator", "must be In"
    ),
    (
      "{endpointSelector: {matchExpressions: [{key: a, operator: In}]}, ingress: [{}]}",
      "spec.endpointSelector.matchExpressions[0]", "needs values"
    ),
    (
      "{endpointSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}, ingress: [{}]}",
      "spec.endpointSelector.matchExpressions[0]", "takes no values"
    ),
    ("{endpointSelector: {}, ingress: [{fromCIDR: [10.0.0.0/33]}]}", "spec.ingress[0].fromCIDR[0]", "CIDR"),
    (
      "{endpointSelector: {}, ingress: [{fromCIDRSet: [{cidr: 10.0.0.1}]}]}", "spec.ingress[0].fromCIDRSet[0].cidr", "/"
    ),
    (
      "{endpointSelector: {}, ingress: [{fromCIDRSet: [{cidr: 10.0.0.0/8, cidrGroupRef: g}]}]}",
      "spec.ingress[0].fromCIDRSet[0]", "exactly one"
    ),
    (
      "{endpointSelector: {}, ingress: [{fromCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]}]}",
      "spec.ingress[0].fromCIDRSet[0].except[0]", "not within"
    ),
    ("{endpointSelector: {}, ingress: [{fromEntities: [mars]}]}", "spec.ingress[0].fromEntities[0]", "mars"),
    (
      "{endpointSelector: {}, ingress: [{fromEndpoints: [{}], fromCIDR: [1.2.3.4]}]}", "spec.ingress[0].fromCIDR",
      "beside fromEndpoints"
    ),
    ("{endpointSelector: {}, egress: [{toFQDNs: [{matchName: 'a b'}]}]}", "spec.egress[0].toFQDNs[0].matchName", "DNS"),
    ("{endpointSelector: {}, egressDeny: [{toFQDNs: []}]}", "spec.egressDeny[0].toFQDNs", "unknown field"),
    (
      "{endpointSelector: {}, ingress: [{icmps: [{fields: [{type: 256}]}]}]}",
      "spec.ingress[0].icmps[0].fields[0].type", "255"
    ),
    (
      "{endpointSelector: {}, ingress: [{icmps: [{fields: [{type: PacketTooBig}]}]}]}",
      "spec.ingress[0].icmps[0].fields[0].type", "IPv4"
    ),
    (
      "{endpointSelector: {}, ingress: [{icmps: [{fields: [{type: 8}]}], toPorts: [{ports: [{port: '1'}]}]}]}",
      "spec.ingress[0].icmps", "toPorts"
    ),
    (
      "{endpointSelector: {}, enableDefaultDeny: {ingress: 'no'}, ingress: [{}]}", "spec.enableDefaultDeny.ingress",
      "boolean"
    ),
  ]

  @Test(arguments: refused)
  func refuses(_ spec: String, _ path: String, _ message: String) throws {
    let error = try #require(throws: FieldError.self) { try policy(spec: spec) }
    #expect(error.path == path)
    #expect(error.message.contains(message), "\(error)")
  }

  /// As above, for one element of `toPorts`.
  static let refusedPorts: [(list: String, element: String, path: String, message: String)] = [
    ("ingress", "{ports: [{port: 80}]}", "ports[0].port", "quotes"),
    ("ingress", "{ports: [{port: '65536'}]}", "ports[0].port", "65535"),
    ("ingress", "{ports: [{port: '080'}]}", "ports[0].port", "neither"),
    ("ingress", "{ports: [{port: '-http'}]}", "ports[0].port", "neither"),
    ("ingress", "{ports: [{protocol: TCP}]}", "ports[0].port", "required"),
    ("ingress", "{ports: [{port: '80', protocol: HTTP}]}", "ports[0].protocol", "HTTP"),
    ("ingress", "{ports: [{port: '80', endPort: 79}]}", "ports[0].endPort", "below"),
    ("ingress", "{ports: [{port: http, endPort: 79}]}", "ports[0].endPort", "number"),
    ("ingress", "{ports: [{port: '80', endPort: 65536}]}", "ports[0].endPort", "65535"),
    ("ingress", "{ports: [{port: '80', protocol: ESP}]}", "ports[0].port", "no ports"),
    ("ingress", "{ports: [{port: '80'}], rules: {http: [{}]}}", "ports[0].protocol", "ANY"),
    ("ingress", "{ports: [{port: '80', protocol: UDP}], rules: {http: [{}]}}", "ports[0].protocol", "UDP"),
    ("ingress", "{ports: [{port: '0', protocol: TCP}], rules: {http: [{}]}}", "ports[0].port", "port 0"),
    ("ingress", "{ports: [{port: '53'}], rules: {dns: [{matchName: a}]}}", "rules.dns", "ingress"),
    ("egress", "{ports: [{port: '53', endPort: 54}], rules: {dns: [{matchName: a}]}}", "ports[0].endPort", "ranges"),
    ("ingress", "{ports: [{port: '80', protocol: TCP}], rules: {}}", "rules", "one of"),
    ("ingress", "{ports: [{port: '80', protocol: TCP}], rules: {http: [], dns: []}}", "rules", "more than one"),
    ("ingress", "{ports: [{port: '80', protocol: TCP}], rules: {l7: []}}", "rules", "l7proto"),
    ("ingress", "{ports: [], rules: {http: [{paths: /}]}}", "rules.http[0].paths", "unknown field"),
    ("ingress", "{rules: {http: [{headerMatches: [{name: ''}]}]}}", "rules.http[0].headerMatches[0].name", "missing"),
    (
      "ingress", "{rules: {http: [{headerMatches: [{name: a, mismatch: DROP}]}]}}",
      "rules.http[0].headerMatches[0].mismatch", "DROP"
    ),
    ("ingress", "{listener: {name: l, envoyConfig: {name: c}}}", "listener", "ingress"),
    ("ingress", "{serverNames: [a], rules: {http: []}}", "serverNames", "terminatingTLS"),
    ("ingressDeny", "{ports: [], rules: {http: []}}", "rules", "deny rule"),
  ]

  @Test(arguments: refusedPorts)
  func refusesPorts(_ list: String, _ element: String, _ path: String, _ message: String) throws {
    let error = try #require(throws: FieldError.self) {
      try policy(spec: "{endpointSelector: {}, \(list): [{toPorts: [\(element)]}]}")
    }
    #expect(error.path == "spec.\(list)[0].toPorts[0].\(path)")
    #expect(error.message.contains(message), "\(error)")
  }

  @Test func limitsThePortsOfARule() throws {
    let ports = (1...41).map { "{port: '\($0)'}" }.joined(separator: ",")
    let error = try #require(throws: FieldError.self) {
      try policy(spec: "{endpointSelector: {}, ingress: [{toPorts: [{ports: [\(ports)]}]}]}")
    }
    #expect(error.path == "spec.ingress[0].toPorts[0].ports")
  }

  @Test func clusterwidePoliciesMaySelectNodes() throws {
    let policy = try CiliumClusterwideNetworkPolicy(
      yaml(
        """
        metadata: {name: host}
        specs:
        - {nodeSelector: {matchLabels: {type: ingress-worker}}, ingress: [{fromEntities: [remote-node]}]}
        - {endpointSelector: {matchLabels: {"reserved:init": ""}}, egress: [{}]}
        """))
    #expect(policy.key == ObjectKey(kind: "CiliumClusterwideNetworkPolicy", namespace: nil, name: "host"))
    #expect(policy.rules.map(\.path) == ["specs[0]", "specs[1]"])
    guard case .nodes = policy.rules[0].subject else {
      Issue.record("not a node selector")
      return
    }
  }

  @Test func anotherKindIsRefused() throws {
    let error = try #require(throws: FieldError.self) {
      try CiliumNetworkPolicy(["apiVersion": "cilium.io/v2", "kind": "CiliumEnvoyConfig", "metadata": ["name": "a"]])
    }
    #expect(error.path == "kind")
  }
}
