import Clocks
import JSON
import Testing

@testable import ControlPlane

@Suite struct SchemaTests {
  static let policyRule = """
    {"endpointSelector":{"matchLabels":{"app":"a"},"matchExpressions":[{"key":"k","operator":"In","values":["v"]}]},
     "labels":[{"key":"k","source":"s","value":"v"}],"log":{"value":"x"},"description":"d",
     "enableDefaultDeny":{"ingress":true,"egress":false},
     "ingress":[{"fromEndpoints":[{}],"fromEntities":["world"],"fromCIDR":["10.0.0.0/8","fd00::/8"],
       "fromCIDRSet":[{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]},{"cidrGroupRef":"g"},{"cidrGroupSelector":{}}],
       "fromNodes":[{}],"fromGroups":[{"aws":{"labels":{"a":"b"},"region":"r","securityGroupsIds":["s"]}}],
       "authentication":{"mode":"required"},"icmps":[{"fields":[{"type":8},{"family":"IPv6","type":"EchoRequest"}]}],
       "toPorts":[{"ports":[{"port":"80","endPort":90,"protocol":"TCP"},{"port":"http"}],
         "rules":{"http":[{"method":"GET","path":"/a.*","host":"h","headers":["X: y"],
           "headerMatches":[{"name":"n","value":"v","mismatch":"ADD","secret":{"name":"s"}}]}]},
         "listener":{"envoyConfig":{"kind":"CiliumEnvoyConfig","name":"e"},"name":"l","priority":5},
         "terminatingTLS":{"secret":{"name":"s","namespace":"n"},"certificate":"c","privateKey":"k"},
         "serverNames":["*.example.com"]}]}],
     "ingressDeny":[{"fromEntities":["world"],"toPorts":[{"ports":[{"port":"22","protocol":"TCP"}]}]}],
     "egress":[{"toFQDNs":[{"matchName":"a.b"},{"matchPattern":"*.a.b"}],
       "toServices":[{"k8sService":{"namespace":"n","serviceName":"s"}},{"k8sServiceSelector":{"selector":{}}}],
       "toPorts":[{"ports":[{"port":"53","protocol":"UDP"}],"rules":{"dns":[{"matchPattern":"*"}]}}]}],
     "egressDeny":[{"toCIDR":["0.0.0.0/0"]}]}
    """

  func policy(_ spec: String) throws -> JSONValue {
    ["apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": ["name": "p"], "spec": try json(spec)]
  }

  func create(_ object: JSONValue, strict: Bool = true) async throws -> (code: Int, body: JSONValue) {
    try await makeServer().send(
      .post, "apis/cilium.io/v2/namespaces/default/ciliumnetworkpolicies", object,
      query: ["fieldValidation": strict ? "Strict" : "Ignore"])
  }

  @Test func everyFieldOfAPolicyIsKnown() async throws {
    let result = try await create(try policy(SchemaTests.policyRule))
    #expect(result.code == 201, "\(result.body.text())")
  }

  @Test(arguments: [
    (#"{"endpointSelector":{},"ingres":[]}"#, #"unknown field "spec.ingres""#),
    (
      #"{"endpointSelector":{},"ingress":[{"toPorts":[{"ports":[{"prt":"80"}]}]}]}"#,
      #"unknown field "spec.ingress[0].toPorts[0].ports[0].prt""#
    ),
    (#"{"endpointSelector":{"matchLabel":{}},"ingress":[]}"#, #"unknown field "spec.endpointSelector.matchLabel""#),
  ])
  func typosAreRefused(spec: String, message: String) async throws {
    let result = try await create(try policy(spec))
    #expect(result.code == 400)
    #expect(result.body["message"]?.stringValue?.contains("strict decoding error: " + message) == true)
  }

  @Test(arguments: [
    (#"{"endpointSelector":{},"ingress":[{"fromCIDR":["10.0.0.0/33"]}]}"#, "spec.ingress[0].fromCIDR[0]"),
    (#"{"endpointSelector":{},"ingress":[{"fromEntities":["wrld"]}]}"#, "spec.ingress[0].fromEntities[0]"),
    (
      #"{"endpointSelector":{},"ingress":[{"toPorts":[{"ports":[{"port":80}]}]}]}"#,
      "spec.ingress[0].toPorts[0].ports[0].port"
    ),
    (
      #"{"endpointSelector":{},"ingress":[{"toPorts":[{"ports":[{"port":"65536"}]}]}]}"#,
      "spec.ingress[0].toPorts[0].ports[0].port"
    ),
    (
      #"{"endpointSelector":{},"ingress":[{"toPorts":[{"ports":[],"rules":{"http":[],"dns":[]}}]}]}"#,
      "spec.ingress[0].toPorts[0].rules"
    ),
    (#"{"endpointSelector":{},"nodeSelector":{},"ingress":[]}"#, "spec"),
    (#"{"ingress":[]}"#, "spec"), (#"{"endpointSelector":{}}"#, "spec"),
    (
      #"{"endpointSelector":{"matchExpressions":[{"key":"a","operator":"Is"}]},"ingress":[]}"#,
      "spec.endpointSelector.matchExpressions[0].operator"
    ),
    (
      #"{"endpointSelector":{},"ingress":[{"icmps":[{"fields":[{"type":256}]}]}]}"#,
      "spec.ingress[0].icmps[0].fields[0].type"
    ),
    (#"{"endpointSelector":{},"egress":[{"toFQDNs":[{"matchName":"a b"}]}]}"#, "spec.egress[0].toFQDNs[0].matchName"),
    (#"{"endpointSelector":{},"ingress":[{"fromRequires":[{}]}]}"#, "spec.ingress[0].fromRequires"),
    (#"{"endpointSelector":{},"ingress":[{"authentication":{}}]}"#, "spec.ingress[0].authentication.mode"),
    (#"{"endpointSelector":{},"ingress":{}}"#, "spec.ingress"),
  ])
  func wrongValuesAreRefusedWithTheirPath(spec: String, field: String) async throws {
    let result = try await create(try policy(spec))
    #expect(result.code == 422)
    let fields = result.body["details"]?["causes"]?.arrayValue?.compactMap { $0["field"]?.stringValue } ?? []
    #expect(fields.contains(field), "\(fields)")
  }

  @Test func unknownFieldsAreDroppedWhenIgnored() async throws {
    let result = try await create(try policy(#"{"endpointSelector":{},"ingress":[{"toPrts":[]}]}"#), strict: false)
    #expect(result.code == 201)
    #expect(result.body["spec"]?["ingress"] == [[:]])
  }

  @Test func defaultsAreFilledIn() async throws {
    let result = try await create(
      try policy(#"{"endpointSelector":{},"ingress":[{"icmps":[{"fields":[{"type":8}]}]}]}"#))
    #expect(result.body["spec"]?["ingress"] == [["icmps": [["fields": [["family": "IPv4", "type": 8]]]]]])
  }

  @Test(arguments: [
    ("cidr", "10.0.0.0/8", true), ("cidr", "10.0.0.0", false), ("cidr", "fd00::/129", false),
    ("cidr", "010.0.0.0/8", false), ("cidr", "::/0", true), ("ip", "1.2.3.4", true), ("ip", "1.2.3", false),
    ("ip", "::1", true), ("date-time", "2024-01-02T03:04:05Z", true), ("date-time", "2024-01-02", false),
    ("date-time", "2024-01-02T03:04:05.123456+02:00", true), ("byte", "YQ==", true), ("byte", "Y", false),
    ("quantity", "100m", true), ("quantity", "1.5Gi", true), ("quantity", "x", false), ("unknown", "x", true),
  ])
  func formats(format: String, text: String, isValid: Bool) {
    #expect(Formats.isValid(text, format: format) == isValid)
  }

  @Test func longNamesDoNotStallPatterns() {
    let name = String(repeating: "a", count: 250) + " "
    #expect(!Patterns.matches(name, "^[-a-zA-Z0-9_]+([.][-a-zA-Z0-9_]+)*[.]?$"))
  }

  @Test(arguments: [
    (".spec.a", ["1"]), (".spec.list[0].v", ["x"]), (".spec.list[*].v", ["x", "y"]),
    (#".spec.list[?(@.t=="b")].v"#, ["y"]), (".spec.list[?(@.t=='c')].v", []), (#".spec.dotted\.key"#, ["d"]),
    (".spec['dotted.key']", ["d"]), (".missing", []),
  ])
  func jsonPaths(path: String, values: [String]) throws {
    let object = try json(#"{"spec":{"a":1,"list":[{"t":"a","v":"x"},{"t":"b","v":"y"}],"dotted.key":"d"}}"#)
    let found = try #require(JSONPath(path)).values(in: object).map { $0.stringValue ?? $0.text() }
    #expect(found == values)
  }

  @Test(arguments: [
    (5, "5s"), (119, "119s"), (120, "2m"), (190, "3m10s"), (1200, "20m"), (3 * 3600 + 60, "3h1m"), (10 * 3600, "10h"),
    (3 * 86400, "3d"), (50 * 3600, "2d2h"), (800 * 86400, "2y70d"),
  ])
  func ages(seconds: Int, text: String) {
    #expect(Age.text(since: Timestamp.text(seconds: 1_700_000_000), now: 1_700_000_000 + seconds) == text)
  }
}
