import Addressing
import Identity
import KubernetesAPI
import Labels
import NodeAPI
import Testing

@testable import Agent
@testable import Policy

@Suite struct RemediesTests {
  private static func pod(_ labels: [String: String], namespace: String = "default") -> ExplainedEnd {
    ExplainedEnd(
      name: "\(namespace)/pod", address: IPAddress("10.0.0.1")!, identity: NumericIdentity(rawValue: 300),
      labels: IdentityLabels(podLabels: labels, namespace: namespace))
  }

  private static func outside(_ address: String, _ labels: [String], names: [String] = []) -> ExplainedEnd {
    ExplainedEnd(
      name: address, address: IPAddress(address)!, identity: NumericIdentity(rawValue: 1 << 24),
      labels: IdentityLabels(labels.map { SecurityLabel($0) }), names: names)
  }

  private static func remedies(
    _ peer: ExplainedEnd, _ direction: Direction, _ terms: [PolicyReading.Term], port: UInt16 = 80
  ) -> [Explanation.Remedy] {
    let key = ObjectKey(kind: "CiliumNetworkPolicy", namespace: "default", name: "p")
    let reading = PolicyReading(
      object: key, description: "", deniesByDefault: true, terms: terms, issues: [], isRejected: false)
    return Remedies(subject: pod(["app": "web"]), peer: peer, direction: direction, ipProtocol: 6, port: port)
      .connection([reading])
  }

  private static func term(
    _ effect: PolicyReading.Term.Effect = .allow, peer: Bool = false, port: Bool = true,
    unmet: [IdentityRequirement] = []
  ) -> PolicyReading.Term {
    PolicyReading.Term(
      path: "spec.ingress[0]", effect: effect, peers: [], matchesPeer: peer, unmet: unmet, ports: "80/TCP",
      matchesPort: port)
  }

  private static func requirement(_ label: String) -> IdentityRequirement {
    let label = SecurityLabel(label)
    return IdentityRequirement(SelectorKey(source: label.source, key: label.key), .in([label.value]))
  }

  @Test func `a deny rule is all there is to say`() {
    let told = Self.remedies(Self.pod([:]), .ingress, [Self.term(.deny, peer: true), Self.term(port: false)])
    #expect(told.count == 1)
    #expect(told[0].text.contains("narrow or remove spec.ingress[0]") && told[0].yaml == nil)
  }

  /// Of a policy that can not be read: neither its deny rule, which stands in for it, nor a rule to add to it.
  @Test(arguments: [PolicyReading.Term.Effect.deny, .allow]) func `a broken policy is to be repaired`(
    _ effect: PolicyReading.Term.Effect
  ) throws {
    let key = ObjectKey(kind: "CiliumNetworkPolicy", namespace: "default", name: "p")
    let issue = PolicyIssue(path: "spec.ingress[0].fromEndpoint", message: "unknown field")
    let reading = PolicyReading(
      object: key, description: "", deniesByDefault: true, terms: [Self.term(effect, peer: effect == .deny)],
      issues: [issue], isRejected: true)
    let told = Remedies(
      subject: Self.pod(["app": "web"]), peer: Self.pod([:]), direction: .ingress, ipProtocol: 6, port: 80
    ).connection([reading])
    #expect(told.first?.text == "repair spec.ingress[0].fromEndpoint of CiliumNetworkPolicy default/p: unknown field")
    #expect(told.count == (effect == .deny ? 1 : 2))
    #expect(told.dropFirst().allSatisfy { $0.text.hasPrefix("add this to a policy that selects") })
  }

  private static let labels: [(IdentityRequirement, String?)] = [
    (requirement("k8s:app=web"), "the label app=web"),
    (IdentityRequirement(SelectorKey("tier"), .exists), "a label tier"),
    (IdentityRequirement(SelectorKey("tier"), .doesNotExist), "no such label tier"),
    // What nobody can put on a pod.
    (requirement("k8s:io.kubernetes.pod.namespace=other"), nil), (requirement("fqdn:*.example.com"), nil),
    (requirement("cidr:10.0.0.0/8"), nil), (requirement("reserved:host"), nil),
  ]

  @Test(arguments: labels) func `a pod is told the labels that it lacks`(
    _ unmet: IdentityRequirement, _ wanted: String?
  ) {
    let told = Self.remedies(Self.pod(["app": "other"]), .ingress, [Self.term(unmet: [unmet])])
    #expect(told.count == (wanted == nil ? 1 : 2))
    if let wanted { #expect(told[0].text.contains("give default/pod \(wanted), which spec.ingress[0]")) }
  }

  @Test func `another port is told`() {
    let told = Self.remedies(Self.pod([:]), .ingress, [Self.term(peer: true, port: false)], port: 81)
    #expect(told.first?.text.contains("allows default/pod 80/TCP: use that, or add the port") == true)
  }

  private static let rules: [(ExplainedEnd, Direction, String)] = [
    (pod(["app": "client"]), .ingress, "- fromEndpoints:\n  - matchLabels:\n      app: client\n"),
    (
      pod(["app": "true"], namespace: "other"), .egress,
      "- toEndpoints:\n  - matchLabels:\n      app: \"true\"\n      k8s:io.kubernetes.pod.namespace: other\n"
    ),
    (outside("192.0.2.1", ["reserved:host"]), .ingress, "- fromEntities:\n  - host\n"),
    (outside("192.0.2.1", ["reserved:world-ipv4"]), .egress, "- toCIDR:\n  - 192.0.2.1/32\n"),
    (outside("2001:db8::1", ["reserved:world-ipv6"]), .ingress, "- fromCIDR:\n  - 2001:db8::1/128\n"),
    // An address with a name is better allowed by its name, but nobody asks for names of who comes in.
    (
      outside("192.0.2.1", ["reserved:world-ipv4"], names: ["www.example.com"]), .egress,
      "- toFQDNs:\n  - matchName: www.example.com\n"
    ),
    (
      outside("192.0.2.1", ["reserved:world-ipv4"], names: ["www.example.com"]), .ingress,
      "- fromCIDR:\n  - 192.0.2.1/32\n"
    ),
  ]

  @Test(arguments: rules) func `the rule allows just this`(
    _ peer: ExplainedEnd, _ direction: Direction, _ peers: String
  ) {
    let yaml = Self.remedies(peer, direction, []).last?.yaml
    #expect(
      yaml == "\(direction == .ingress ? "ingress" : "egress"):\n\(peers)  toPorts:\n  - ports:\n"
        + "    - port: \"80\"\n      protocol: TCP\n")
  }

  @Test func `an address that toFQDNs does not mean is told which names it has`() {
    let unmet = [Self.requirement("fqdn:*.example.com")]
    let told = Self.remedies(
      Self.outside("192.0.2.1", ["reserved:world-ipv4"], names: ["other.org"]), .egress, [Self.term(unmet: unmet)])
    #expect(told[0].text.contains("*.example.com") && told[0].text.contains("answered for other.org"))
    let nameless = Self.remedies(
      Self.outside("192.0.2.1", ["reserved:world-ipv4"]), .egress, [Self.term(unmet: unmet)])
    #expect(nameless[0].text.contains("answered for no name"))
  }

  @Test func `what is said is added to the rules that judged it`() {
    let query = Remedies.query("a.b", in: "CiliumNetworkPolicy d/p", at: "spec.egress[0].toPorts[0].rules.dns[1]")
    #expect(query.text == "add this to spec.egress[0].toPorts[0].rules.dns of CiliumNetworkPolicy d/p")
    #expect(query.yaml == "- matchName: a.b\n")
    let hello = Remedies.serverName(
      "a.b", in: "CiliumNetworkPolicy d/p", at: "spec.egress[0].toPorts[0].serverNames[1]")
    #expect(hello.text == "add this to spec.egress[0].toPorts[0].serverNames of CiliumNetworkPolicy d/p")
    #expect(hello.yaml == "- a.b\n")
    let request = Remedies.request(method: "GET", path: "/a.b?c='d'", in: nil, at: nil)
    #expect(request.text == "add this to rules.http")
    #expect(request.yaml == "- method: GET\n  path: '/a\\.b\\?c=''d'''\n")
  }
}
