import CNI
import JSON
import KubernetesAPI
import Logging
import Policy
import Synchronization
import Testing

@testable import Agent

/// Writers of objects that nobody waits for.
@Suite struct ObjectWriterTests {
  private let lab: NodeLab
  private let api: MemoryObjects
  private let fast = Backoff(base: .milliseconds(1), maximum: .milliseconds(4))
  private let logger = Logger(label: "test")

  init() throws {
    lab = try NodeLab()
    api = lab.api
  }

  private var stored: JSONValue? { api[CiliumEndpoint.resource, "default", "web"] }
  private var owner: String? {
    stored?[path: "metadata", "ownerReferences"]?.arrayValue?.first?["uid"]?.stringValue
  }

  private func endpoint(uid: String, ports: Set<NamedPort> = []) async throws -> Endpoint {
    let addresses = lab.configuration.podCIDRs.map(\.address)
    let (attachment, index) = try await lab.create(try NodeLab.add(), uid: uid, addresses: addresses, mtu: 1500) {
      _, _ in
    }
    return Endpoint(
      id: 5, attachment: attachment, interfaceIndex: index, identity: .init(rawValue: 256), labels: .init([]),
      namedPorts: ports)
  }

  @Test func whatTheServerDidNotTakeIsWrittenLater() async throws {
    let attempts = Mutex(0)
    api.before { (_, _) async throws(KubernetesError) in
      if attempts.withLock({
        $0 += 1
        return $0
      }) < 5 {
        throw MemoryObjects.unavailable
      }
    }
    let publisher = EndpointPublisher(api: api, backoff: fast, logger: logger)
    publisher.publish(
      try await endpoint(uid: "u1", ports: [NamedPort(name: "diameter", protocol: 132, port: 3868)]))
    #expect(await eventually { publisher.isIdle })
    #expect(owner == "u1")
    #expect(stored?[path: "status", "named-ports"]?.arrayValue?.first?["protocol"] == "SCTP")
  }

  @Test func aPodOfTheSameNameTakesTheObjectOver() async throws {
    let publisher = EndpointPublisher(api: api, backoff: fast, logger: logger)
    let (old, new) = (try await endpoint(uid: "u1"), try await endpoint(uid: "u2"))
    publisher.publish(old)
    #expect(await eventually { publisher.isIdle })
    publisher.publish(new)
    publisher.withdraw(old.attachment)
    #expect(await eventually { publisher.isIdle })
    #expect(owner == "u2")
    publisher.withdraw(new.attachment)
    #expect(await eventually { publisher.isIdle })
    #expect(stored == nil)
  }

  @Test func theObjectOfAPodElsewhereStays() async throws {
    let publisher = EndpointPublisher(api: api, backoff: fast, logger: logger)
    let elsewhere = EndpointPublisher(api: api, backoff: fast, logger: logger)
    let old = try await endpoint(uid: "u1")
    publisher.publish(old)
    #expect(await eventually { publisher.isIdle })
    elsewhere.publish(try await endpoint(uid: "u2"))
    #expect(await eventually { elsewhere.isIdle })
    publisher.withdraw(old.attachment)
    #expect(await eventually { publisher.isIdle })
    #expect(owner == "u2")
  }

  @Test func aStatusIsWrittenInTheEndAndAgainstTheNewestObject() async throws {
    let key = ObjectKey(kind: "CiliumNetworkPolicy", namespace: "default", name: "p")
    let object: JSONValue = [
      "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": ["name": "p", "namespace": "default"],
      "spec": ["endpointSelector": [:]],
    ]
    api.put(CiliumNetworkPolicy.resource, object)
    let gate = Gate()
    api.before { (verb, _) async throws(KubernetesError) in if verb == "patch" { await gate.pass() } }
    let reporter = ObjectStatusReporter(api: api, backoff: fast, logger: logger)
    reporter.report([key: PolicyObjectStatus(state: .rejected, issues: [])])
    await gate.visited()
    // Somebody writes between the reader's get and its patch, and the outcome changes.
    api.put(CiliumNetworkPolicy.resource, object)
    reporter.report([key: PolicyObjectStatus(state: .accepted, issues: [])])
    await gate.open()
    #expect(await eventually { reporter.isIdle })
    let conditions = api[CiliumNetworkPolicy.resource, "default", "p"]?[path: "status", "conditions"]?.arrayValue ?? []
    #expect(conditions.map { $0["status"]?.stringValue } == ["True", "True"])
    #expect(api.log.filter { $0 == "get p" }.count >= 2)
  }

  /// As a policy's, in words of its own.
  @Test func whatBecomesOfRoutesStandsInTheirStatus() async throws {
    let key = ObjectKey(kind: "CiliumEnvoyConfig", namespace: "default", name: "p")
    api.put(
      CiliumEnvoyConfig.resource,
      ["apiVersion": "cilium.io/v2", "kind": "CiliumEnvoyConfig", "metadata": ["name": "p", "namespace": "default"]])
    let reporter = ObjectStatusReporter(api: api, backoff: fast, logger: logger)
    func told(_ status: PolicyObjectStatus) async -> [String?] {
      reporter.report([key: status])
      #expect(await eventually { reporter.isIdle })
      let conditions = api[CiliumEnvoyConfig.resource, "default", "p"]?[path: "status", "conditions"]?.arrayValue ?? []
      return conditions.flatMap { [$0["status"]?.stringValue, $0["message"]?.stringValue] }
    }
    #expect(
      await told(PolicyObjectStatus(state: .accepted)) == [
        "True", "the configuration is valid", "True", "the configuration is followed as written",
      ])
    let issue = PolicyIssue(path: "spec.resources[0].address", message: "is not supported")
    #expect(
      await told(PolicyObjectStatus(state: .rejected, issues: [issue])) == [
        "False", issue.description, "False", issue.description,
      ])
  }

  private static let outcomes: [(PolicyObjectStatus, [String], String)] = {
    let issue = PolicyIssue(path: "spec.egress[0]", message: "is not enforced")
    var watched = PolicyObjectStatus(state: .accepted)
    watched.watchedOn = ["default/web"]
    var many = PolicyObjectStatus(state: .partial, issues: [issue])
    many.watchedOn = ["a/a", "a/b", "a/c", "a/d"]
    return [
      (PolicyObjectStatus(state: .accepted), ["True", "True"], "the policy is enforced as written"),
      (watched, ["True", "True"], "the policy is enforced as written; watched only on default/web"),
      (many, ["True", "False"], "spec.egress[0]: is not enforced; watched only on a/a, a/b, a/c and 1 more"),
      (PolicyObjectStatus(state: .accepted, isAudited: true), ["True", "False"], AuditMode.watching),
      (
        PolicyObjectStatus(state: .partial, issues: [issue], isAudited: true), ["True", "False"],
        "\(AuditMode.watching); spec.egress[0]: is not enforced"
      ),
      (
        PolicyObjectStatus(state: .rejected, issues: [issue], isAudited: true), ["False", "False"],
        "spec.egress[0]: is not enforced; \(AuditMode.watching)"
      ),
    ]
  }()

  @Test func whatIsOnlyWatchedIsNotCalledEnforced() async throws {
    let key = ObjectKey(kind: "CiliumNetworkPolicy", namespace: "default", name: "p")
    api.put(
      CiliumNetworkPolicy.resource,
      [
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": ["name": "p", "namespace": "default"],
      ])
    let reporter = ObjectStatusReporter(api: api, backoff: fast, logger: logger)
    for (status, expected, message) in Self.outcomes {
      reporter.report([key: status])
      #expect(await eventually { reporter.isIdle })
      let written = api[CiliumNetworkPolicy.resource, "default", "p"]?[path: "status", "conditions"]?.arrayValue ?? []
      #expect(written.map { $0["status"]?.stringValue } == expected)
      #expect(written.last?["message"]?.stringValue == message)
    }
  }

  @Test func aPolicyWithoutStatusTellsItsModeByEvents() async throws {
    let key = ObjectKey(kind: "NetworkPolicy", namespace: "default", name: "p")
    api.put(
      NetworkPolicy.resource,
      [
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": ["name": "p", "namespace": "default", "uid": "u1"],
      ])
    let events = EventRecorder(api: api, nodeName: "node", logger: logger)
    let reporter = ObjectStatusReporter(api: api, events: events, backoff: fast, logger: logger)
    for isAudited in [false, true, false, false] {
      reporter.report([key: PolicyObjectStatus(state: .accepted, isAudited: isAudited)])
      #expect(await eventually { reporter.isIdle })
    }
    func told() -> [JSONValue] {
      api.log.filter { $0.hasPrefix("create p.") }.compactMap {
        api[EventRecorder.resource, "default", String($0.dropFirst("create ".count))]
      }
    }
    #expect(await eventually { told().count == 2 })
    #expect(told().map { $0["reason"]?.stringValue } == ["Audited", "Enforced"])
    #expect(told().allSatisfy { $0["type"] == "Normal" })
  }

  @Test func aPolicyIsPendingUntilItsModeIsInForce() throws {
    let progress = PolicyProgress()
    func object(_ mode: String?) -> JSONValue {
      var metadata: JSONValue = ["name": "p", "namespace": "default", "generation": 3]
      metadata["annotations"] = mode.map { [PolicyMode.annotation: .string($0)] }
      return [
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": metadata,
        "spec": ["endpointSelector": [:], "ingress": [[:]]],
      ]
    }
    func isPending(_ mode: String?) -> Bool {
      !progress.pending([object(mode)], kind: "CiliumNetworkPolicy").isEmpty
    }
    #expect(isPending(nil))
    for mode in [nil, "audit", nil] as [String?] {
      progress.record(.cilium(.applied(try CiliumNetworkPolicy(object(mode)))))
      #expect(!isPending(mode) && isPending(mode == nil ? "audit" : nil))
    }
  }

  @Test func aPolicyWithoutStatusIsToldOfByOneEvent() async throws {
    let key = ObjectKey(kind: "NetworkPolicy", namespace: "default", name: "p")
    api.put(
      NetworkPolicy.resource,
      [
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": ["name": "p", "namespace": "default", "uid": "u1"],
      ])
    let events = EventRecorder(api: api, nodeName: "node", logger: logger)
    let reporter = ObjectStatusReporter(api: api, events: events, backoff: fast, logger: logger)
    let issue = PolicyIssue(path: "spec.egress[0]", message: "is not enforced")
    for state in [PolicyObjectStatus.State.accepted, .partial, .partial] {
      reporter.report([key: PolicyObjectStatus(state: state, issues: state == .accepted ? [] : [issue])])
      #expect(await eventually { reporter.isIdle })
    }
    func told() -> [String] { api.log.filter { $0.hasPrefix("create p.") } }
    #expect(await eventually { !told().isEmpty })
    let name = try #require(told().first).dropFirst("create ".count)
    let event = try #require(api[EventRecorder.resource, "default", String(name)])
    #expect(told().count == 1 && event["reason"] == "PartlyEnforced" && event["type"] == "Warning")
    #expect(event["message"] == "spec.egress[0]: is not enforced")
    #expect(event[path: "involvedObject", "uid"] == "u1" && event[path: "involvedObject", "kind"] == "NetworkPolicy")
  }
}
