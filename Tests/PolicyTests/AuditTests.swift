import Addressing
import Identity
import JSON
import KubernetesAPI
import TestSupport
import Testing

@testable import Policy

/// What policies that are only watched would deny: `FROM -> TO PORT/PROTOCOL OUTCOME` as in ``Scenario``, where OUTCOME is
/// `same`, `closed by NAME,…`, `rule of NAME PATH`, `unreadable by NAME,…` or `read by NAME,…`.
private struct AuditCase: CustomTestStringConvertible, Sendable {
  let testDescription: String
  var enforced: [JSONValue] = []
  let audited: [JSONValue]
  let expectations: String

  init(_ name: String, enforced: [JSONValue] = [], audited: [JSONValue], _ expectations: String) {
    testDescription = name
    self.enforced = enforced
    self.audited = audited
    self.expectations = expectations
  }
}

private let web: JSONValue = ["matchLabels": ["app": "web"]]
private let api: JSONValue = ["matchLabels": ["app": "api"]]

private func about(_ name: String, _ subject: JSONValue = web, _ rules: JSONValue) -> JSONValue {
  var spec = rules
  spec["endpointSelector"] = subject
  return policy(name, spec: spec)
}

private func toPort(_ port: String, _ protocol: String = "TCP", rules: JSONValue? = nil) -> JSONValue {
  var toPort: JSONValue = ["ports": [["port": .string(port), "protocol": .string(`protocol`)]]]
  toPort["rules"] = rules
  return [toPort]
}

private func audited(_ object: JSONValue, _ mode: JSONValue = "audit") -> JSONValue {
  var object = object
  object["metadata"]?["annotations"] = [PolicyMode.annotation: mode]
  return object
}

@Suite struct AuditTests {
  private static let cases = [
    AuditCase(
      "no rule of it allows", audited: [about("a", web, ["ingress": [["fromEndpoints": [api]]]])],
      """
      default/other => default/web 80/TCP closed by a
      default/api => default/web 80/TCP same
      192.0.2.1 => default/web 80/TCP closed by a
      2001:db8::1 => default/web 80/TCP closed by a
      default/web -> default/other 80/TCP same
      default/other => default/api 80/TCP same
      host => default/web 80/TCP same
      """),
    AuditCase(
      "deny rules, both families",
      audited: [
        about(
          "a", web,
          [
            "egressDeny": [["toCIDR": ["192.0.2.0/24", "2001:db8::/64"]], ["toPorts": toPort("53", "UDP")]],
            "enableDefaultDeny": ["ingress": false, "egress": false],
          ])
      ],
      """
      default/web -> 192.0.2.1 80/TCP rule of a spec.egressDeny[0]
      default/web -> 2001:db8::1 80/TCP rule of a spec.egressDeny[0]
      default/web -> 192.0.3.1 80/TCP same
      default/web -> 2001:db8:1::1 80/TCP same
      default/web -> 2001:db8:1::1 53/UDP rule of a spec.egressDeny[1].toPorts[0].ports[0]
      """),
    AuditCase(
      "what another allows in the same direction stays allowed, and a deny rule wins",
      enforced: [about("e", web, ["ingress": [["fromEndpoints": [api], "toPorts": toPort("80")]]])],
      audited: [
        about("a", web, ["ingress": [["fromEndpoints": [web]]], "egress": [["toEndpoints": [api]]]]),
        about("b", web, ["ingressDeny": [["fromEndpoints": [["matchLabels": ["zone": "2"]]]]]]),
      ],
      """
      default/api => default/web 80/TCP same
      default/web -> default/api 80/TCP same
      default/web -> default/other 80/TCP closed by a
      default/far => default/web 80/TCP rule of b spec.ingressDeny[0]
      default/other => default/web 80/TCP same
      """),
    AuditCase(
      "several decide together",
      audited: [
        about("a", web, ["ingress": [["fromEndpoints": [api]]]]),
        about("b", web, ["ingress": [["toPorts": toPort("443")]]]),
      ],
      """
      default/api => default/web 80/TCP same
      default/other => default/web 443/TCP same
      default/other => default/web 80/TCP closed by a,b
      """),
    AuditCase(
      "Kubernetes' own",
      audited: [networkPolicy("n", spec: ["podSelector": web, "policyTypes": ["Ingress", "Egress"]])],
      """
      default/api => default/web 80/TCP closed by n
      default/web -> 2001:db8::1 80/TCP closed by n
      """),
    AuditCase(
      "clusterwide, and the ways of ICMP",
      audited: [
        policy(
          "c", namespace: nil,
          spec: [
            "endpointSelector": web,
            "egressDeny": [
              ["icmps": [["fields": [["type": 8, "family": "IPv4"], ["type": 128, "family": "IPv6"]]]]]
            ],
            "enableDefaultDeny": ["ingress": false, "egress": false],
          ])
      ],
      """
      default/web -> 192.0.2.1 8/ICMP rule of c spec.egressDeny[0].icmps[0].fields[0]
      default/web -> 2001:db8::1 128/ICMPv6 rule of c spec.egressDeny[0].icmps[0].fields[1]
      default/web -> 192.0.2.1 13/ICMP same
      """),
    AuditCase(
      "what is said",
      enforced: [
        about("e", api, ["egress": [["toPorts": toPort("80", rules: ["http": [["method": "GET"]]])]]])
      ],
      audited: [
        about("a", web, ["ingress": [["toPorts": toPort("80", rules: ["http": [["path": "/a"]]])]]]),
        about("b", api, ["egress": [["toPorts": toPort("80", rules: ["http": [["method": "PUT"]]])]]]),
        about("d", web, ["egress": [["toPorts": toPort("53", "ANY", rules: ["dns": [["matchName": "a.b"]]])]]]),
      ],
      """
      default/api => default/web 80/TCP read by a
      default/api => default/web 81/TCP closed by a
      default/api -> default/web 80/TCP read by b
      default/web -> 2001:db8::1 53/UDP read by d
      default/web -> 2001:db8::1 53/SCTP closed by d
      """),
    AuditCase(
      "one that can not be read is a closed door that nobody passes yet",
      audited: [about("x", web, ["ingress": [["fromEndpoint": [:]]], "egressDeny": [["toEntities": ["world"]]]])],
      """
      default/api => default/web 80/TCP closed by x
      default/web -> 192.0.2.1 80/TCP rule of x spec.egressDeny
      """),
  ]

  private static func cluster() -> Cluster {
    var cluster = Cluster()
    cluster.add("default", "web", ["app": "web"])
    cluster.add("default", "api", ["app": "api"])
    cluster.add("default", "other", ["app": "other"])
    cluster.add("default", "far", ["app": "api", "zone": "2"])
    return cluster
  }

  private static func read(_ value: JSONValue) throws -> ClusterInput {
    do { return try ClusterInput(value) } catch let error as FieldError {
      let key = try #require(ObjectKey(of: value, kind: value["kind"]?.stringValue ?? ""))
      return .cilium(.invalid(key, raw: value, error))
    }
  }

  @Test(arguments: cases) private func `what would be denied is told, with whom it is due to`(_ scenario: AuditCase)
    throws
  {
    let cluster = Self.cluster()
    let inputs = try (scenario.enforced + scenario.audited.map { audited($0) }).map(Self.read)
    var book = PolicyBook(node: "n1")
    // At once, one after the other, and the other way round.
    for order in [[inputs], inputs.map { [$0] }, inputs.reversed().map { [$0] }] {
      book = PolicyBook(node: "n1")
      var (compiler, watched) = (PolicyCompiler(), AuditedPolicies())
      func apply(_ delta: PolicyDelta) {
        _ = compiler.update(watched.inForce(delta))
        _ = watched.update(delta, beside: compiler)
      }
      apply(PolicyDelta(cluster.snapshot([])))
      for inputs in order {
        var delta = PolicyDelta()
        for input in inputs { delta.merge(book.apply(input) ?? PolicyDelta()) }
        apply(delta)
      }
      try check(scenario.expectations, try #require(watched.book), cluster)
      let enforced = Set(try scenario.enforced.map { try #require(ObjectKey(of: $0, kind: "")?.name) })
      #expect(Set(compiler.status.keys.map(\.name)) == enforced, "the compiler of what is in force knows of none")
      #expect(watched.status.count == scenario.audited.count && watched.status.values.allSatisfy(\.isAudited))
    }
  }

  private func check(_ expectations: String, _ book: AuditBook, _ cluster: Cluster) throws {
    for line in expectations.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 4).map(String.init)
      let (from, to) = (try #require(cluster.peer(words[0])), try #require(cluster.peer(words[2])))
      let service = words[3].split(separator: "/")
      let number = try #require(Scenario.protocols[String(service[1])])
      let port = try #require(UInt16(service[0]))
      let (subject, peer, direction): (TestPeer, TestPeer, Direction) =
        words[1] == "->" ? (from, to, .egress) : (to, from, .ingress)
      #expect(
        outcome(book, identity(subject, book), direction, identity(peer, book), number, port) == words[4], "\(line)")
    }
  }

  private func identity(_ peer: TestPeer, _ book: AuditBook) -> NumericIdentity {
    switch peer {
    case .pod(let pod): pod.identity
    case .reserved(let reserved): reserved.identity
    case .address(let address): book.identity(ReservedIdentity.world.identity, at: address)
    }
  }

  private func outcome(
    _ book: AuditBook, _ subject: NumericIdentity, _ direction: Direction, _ peer: NumericIdentity, _ number: UInt8,
    _ port: UInt16
  ) -> String {
    guard let denial = book.denial(of: subject, direction, peer: peer, protocol: number, port: port) else {
      let read = book.ruleSet(of: subject, direction, peer: peer, protocol: number, port: port)
      return read.map { "read by \($0.objects.map(\.name).joined(separator: ","))" } ?? "same"
    }
    let names = denial.objects.map(\.name).joined(separator: ",")
    return switch denial.cause {
    case .noRule: "closed by \(names)"
    case .rule(let origin): "rule of \(names) \(origin.path)"
    case .unreadable: "unreadable by \(names)"
    }
  }

  // MARK: Modes

  @Test func `a mode that nobody knows enforces, and the status says so`() throws {
    let written = about("a", web, ["ingress": [["fromEndpoints": [api]]]])
    let modes: [(JSONValue, PolicyMode, [String])] = [
      ("audit", .audit, []), ("enforce", .enforce, []),
      ("Audit", .enforce, ["metadata.annotations[policy.martlet.io/mode]"]),
    ]
    for (annotation, mode, paths) in modes {
      for object in [written, networkPolicy(spec: ["podSelector": [:]])] {
        var book = PolicyBook(node: "n1")
        let delta = try #require(book.apply(try ClusterInput(audited(object, annotation))))
        let document = try #require(delta.changedPolicies.first)
        #expect(document.mode == mode && document.issues.map(\.path) == paths)
        #expect(PolicyObjectStatus(document).state == (paths.isEmpty ? .accepted : .partial))
      }
    }
  }

  /// The annotation alone is no new generation of the object.
  @Test func `a policy goes from one mode to the other and back`() throws {
    let cluster = Self.cluster()
    var book = PolicyBook(node: "n1")
    var (compiler, watched) = (PolicyCompiler(), AuditedPolicies())
    func apply(_ delta: PolicyDelta?) -> PolicyChange {
      let change = compiler.update(watched.inForce(delta ?? PolicyDelta()))
      _ = watched.update(delta ?? PolicyDelta(), beside: compiler)
      return change
    }
    let subject = NumericIdentity(rawValue: 1000)
    func isOpen() -> Bool {
      PolicyVerdicts(compiler.compiled).side(of: subject, .ingress, peer: subject, 6, 80) == .allow
    }
    _ = apply(PolicyDelta(cluster.snapshot([])))
    var written = about("a", web, ["ingress": [["fromEndpoints": [api]]]])
    written["metadata"]?["generation"] = 1
    for (object, isAudited) in [(audited(written), true), (written, false), (audited(written), true)] {
      let change = apply(book.apply(try ClusterInput(object)))
      #expect(isOpen() == isAudited && (watched.book != nil) == isAudited)
      #expect(compiler.status.isEmpty == isAudited && watched.status.isEmpty != isAudited)
      #expect(change.maps.isEmpty == false || isAudited, "enforced at once")
      #expect(book.apply(try ClusterInput(object)) == nil, "nothing changed")
    }
    _ = apply(book.apply(try ClusterInput(audited(written), deleted: true)))
    #expect(watched.book == nil && watched.status.isEmpty && watched.objects.isEmpty)
  }

  // MARK: Any history

  /// What is told is exactly what the policies in force allow and all together deny, after any history of changes.
  @Test(arguments: 0..<PropertyTests.seeds / 3) func `audits tell what would change`(_ seed: Int) throws {
    var random = RandomPolicies(seed: 20_000 + seed)
    var (compiler, all, watched) = (PolicyCompiler(), PolicyCompiler(), AuditedPolicies())
    var snapshot = PolicySnapshot()
    for step in 0..<12 {
      var delta = try random.delta(snapshot)
      delta.changedPolicies = delta.changedPolicies.map { document in
        PolicyDocument(
          key: document.key, uid: document.uid, sections: document.sections, issues: document.issues,
          references: document.references, mode: random.random.chance(50) ? .audit : .enforce)
      }
      snapshot.apply(delta)
      _ = compiler.update(watched.inForce(delta))
      _ = watched.update(delta, beside: compiler)
      _ = all.update(delta)
      #expect(Set(watched.status.keys).union(compiler.status.keys) == Set(all.status.keys))
      #expect(Set(watched.status.keys).isDisjoint(with: compiler.status.keys))
      let (before, after) = (PolicyVerdicts(compiler.compiled), PolicyVerdicts(all.compiled))
      let pods = snapshot.identities.keys.sorted()
      guard !snapshot.subjects.isEmpty else { continue }
      for _ in 0..<300 {
        let subject = random.random.pick(snapshot.subjects.sorted())
        let address = try #require(IPAddress(random.random.pick(PropertyTests.addresses)))
        let isPod = random.random.chance(60) && !pods.isEmpty
        let written = isPod ? random.random.pick(pods) : ReservedIdentity.world.identity
        let direction = random.random.pick(Direction.allCases)
        let number = random.random.chance(60) ? 6 : random.random.pick(PropertyTests.protocols)
        let port = random.random.pick(PropertyTests.ports)
        func isDenied(_ verdicts: PolicyVerdicts) -> Bool {
          let peer = verdicts.identity(written, at: address)
          switch verdicts.side(of: subject, direction, peer: peer, number, port) {
          case .deny, .unreadable: return true
          case .allow: return false
          case .proxy: return ![6, 17].contains(number)
          }
        }
        if isDenied(before) { continue }
        let denial = watched.book?.denial(
          of: subject, direction, peer: watched.book?.identity(written, at: address) ?? .any, protocol: number,
          port: port)
        try #require(
          (denial != nil) == isDenied(after),
          "seed \(seed) step \(step): \(subject) \(direction) \(isPod ? "\(written)" : "\(address)") \(number)/\(port)")
        #expect(denial?.objects.isEmpty != true)
      }
    }
  }
}
