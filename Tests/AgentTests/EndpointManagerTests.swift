import CNI
import Identity
import JSON
import KubernetesAPI
import Policy
import Testing

@testable import Agent

@Suite struct EndpointManagerTests {
  private let lab: NodeLab
  private let manager: EndpointManager

  init() throws {
    lab = try NodeLab()
    manager = try lab.manager()
  }

  @Test func garbageOfOneNetworkLeavesTheOthers() async throws {
    for name in ["web", "box", "old"] { try lab.pod(name, uid: "u-\(name)") }
    let workload = try NodeLab.add("c1", pod: "web")
    _ = try await manager.add(workload, network: WorkloadNetwork.name, mtu: nil)
    _ = try await manager.add(NodeLab.add("c2", pod: "box"), network: "martlet", mtu: nil)
    // By a version whose records did not say.
    _ = try await manager.add(NodeLab.add("c3", pod: "old"), mtu: nil)
    func pods() async -> [String] { await manager.all.map(\.attachment.podName).sorted() }
    await manager.collectGarbage(network: "martlet", valid: [])
    #expect(await pods() == ["old", "web"])
    // A new agent knows from the records.
    let next = try lab.manager()
    _ = try await next.adopt(pods: [], namespaces: [:])
    await next.collectGarbage(network: "martlet", valid: [])
    #expect(await next.all.map(\.attachment.podName).sorted() == ["old", "web"])
    await next.collectGarbage(network: WorkloadNetwork.name, valid: [workload.key])
    #expect(await next.all.map(\.attachment.podName) == ["web"])
  }

  @Test func programsThatSomebodyHasRemovedComeBack() async throws {
    try lab.pod()
    _ = try await manager.add(NodeLab.add(), mtu: nil)
    #expect(await manager.repairPrograms().repaired == [])
    #expect(await manager.unguarded() == [])
    lab.strip()
    #expect(await manager.unguarded() == [7])
    let (repaired, failure) = await manager.repairPrograms()
    #expect(repaired.count == 1 && repaired[0].hasPrefix("default/web on mlt") && failure == nil)
    #expect(await manager.unguarded() == [])
    #expect(await manager.repairPrograms().repaired == [])
  }

  @Test func policyIsToldOfPodsInAuditModeWhenTheyChange() async throws {
    let audited: JSONValue = [PolicyMode.podAnnotation: "true"]
    try lab.pod("web", uid: "u-web", annotations: audited)
    try lab.pod("box", uid: "u-box")
    let invocations = [try NodeLab.add("c1", pod: "web"), try NodeLab.add("c2", pod: "box")]
    for invocation in invocations { _ = try await manager.add(invocation, mtu: nil) }
    let identity = try await wanted(app: "web")
    #expect(lab.watched == [[identity: ["default/web"]]])
    await manager.podApplied(try lab.pod("box", uid: "u-box", annotations: audited))
    #expect(await eventually { lab.watched.count == 2 })
    #expect(lab.watched.last == [identity: ["default/box", "default/web"]])
    await manager.podApplied(try lab.pod("web", uid: "u-web"))
    #expect(await eventually { lab.watched.count == 3 })
    await manager.delete(invocations[0].key)
    await manager.delete(invocations[1].key)
    #expect(lab.watched.dropFirst(2) == [[identity: ["default/box"]], [:]])
  }

  /// The identity that the pod's present labels make.
  private func wanted(app: String, team: String? = nil) async throws -> NumericIdentity {
    let namespaceLabels = team.map { ["team": $0] } ?? [:]
    return try await lab.identities.identity(
      of: IdentityLabels(podLabels: ["app": app], namespace: "default", namespaceLabels: namespaceLabels))
  }

  @Test func connectsAndDisconnects() async throws {
    try lab.pod()
    let invocation = try NodeLab.add()
    let result = try await manager.add(invocation, mtu: nil)
    #expect(try await manager.add(invocation, mtu: nil) == result)
    let identity = try await wanted(app: "web")
    #expect(lab.kernelIdentities == [identity])
    #expect(lab.subjects == [identity])
    #expect(lab.published == ["web": identity])
    await manager.delete(invocation.key)
    #expect(try lab.leftovers() == [])
  }

  @Test(arguments: ["pod", "identity", "device", "policy"])
  func aDeletionDuringAddLeavesNothing(_ step: String) async throws {
    try lab.pod()
    let gate = Gate()
    switch step {
    case "pod": lab.api.before { (verb, _) async throws(KubernetesError) in if verb == "get" { await gate.pass() } }
    case "identity":
      lab.api.before { (verb, _) async throws(KubernetesError) in if verb == "create" { await gate.pass() } }
    case "device": lab.creating.withLock { $0 = gate }
    default: lab.applying.withLock { $0 = gate }
    }
    let invocation = try NodeLab.add()
    let adding = Task { [manager] in try await manager.add(invocation, mtu: nil) }
    await gate.visited()
    let deleting = Task { [manager] in await manager.delete(invocation.key) }
    // The DEL has come when the ADD is cancelled; let both go on.
    for _ in 0..<50 { await Task.yield() }
    await gate.open()
    await deleting.value
    #expect(try lab.leftovers() == [])
    await #expect(throws: CNIError.self) { try await adding.value }
    #expect(await manager.all.isEmpty)
    // All that the ADD took is free again.
    #expect(try await manager.add(invocation, mtu: nil).addresses.count == 2)
  }

  @Test func labelsThatChangeWhileAnEarlierChangeIsUnderWayWin() async throws {
    try lab.pod()
    _ = try await manager.add(try NodeLab.add(), mtu: nil)
    // The object for the first change's labels is slow to make, that for the second is there.
    let newest = try await wanted(app: "second")
    let gate = Gate()
    lab.api.before { (verb, _) async throws(KubernetesError) in if verb == "create" { await gate.pass() } }
    await manager.podApplied(try lab.pod(app: "first"))
    await gate.visited()
    await manager.podApplied(try lab.pod(app: "second"))
    for _ in 0..<50 { await Task.yield() }
    await gate.open()
    #expect(await eventually { lab.kernelIdentities == [newest] && lab.subjects == [newest] })
    try? await Task.sleep(for: .milliseconds(20))
    #expect(lab.kernelIdentities == [newest])
    #expect(lab.published == ["web": newest])
  }

  @Test func podAndNamespaceChangesConverge() async throws {
    try lab.pod()
    _ = try await manager.add(try NodeLab.add(), mtu: nil)
    for round in 0..<30 {
      let pod = try lab.pod(app: "v\(round % 4)")
      async let first: Void = manager.podApplied(pod)
      async let second: Void = manager.namespaceApplied("default", labels: ["team": "t\(round % 3)"])
      _ = await (first, second)
    }
    let last = try await wanted(app: "v1", team: "t2")
    #expect(await eventually { lab.kernelIdentities == [last] && lab.subjects == [last] })
    #expect(await eventually { lab.published == ["web": last] })
  }

  @Test func labelsThatChangeDuringAddCount() async throws {
    try lab.pod()
    let gate = Gate()
    lab.creating.withLock { $0 = gate }
    let invocation = try NodeLab.add()
    let adding = Task { [manager] in try await manager.add(invocation, mtu: nil) }
    await gate.visited()
    await manager.podApplied(try lab.pod(app: "changed"))
    await gate.open()
    _ = try await adding.value
    let identity = try await wanted(app: "changed")
    #expect(lab.kernelIdentities == [identity])
    #expect(lab.subjects == [identity])
  }

  @Test func anIdentityThatCouldNotBeMadeIsTriedAgain() async throws {
    try lab.pod()
    _ = try await manager.add(try NodeLab.add(), mtu: nil)
    lab.api.before { (_, _) async throws(KubernetesError) in throw MemoryObjects.unavailable }
    await manager.podApplied(try lab.pod(app: "changed"))
    try? await Task.sleep(for: .milliseconds(20))
    lab.api.before { (_, _) async throws(KubernetesError) in }
    #expect(await eventually { lab.api.log.filter { $0.hasPrefix("create") }.count > 2 })
    let identity = try await wanted(app: "changed")
    #expect(await eventually { lab.kernelIdentities == [identity] })
  }

  @Test func anIdentityDeletedWhileInUseIsMadeAgain() async throws {
    try lab.pod()
    _ = try await manager.add(try NodeLab.add(), mtu: nil)
    let identity = try await wanted(app: "web")
    let name = String(identity.rawValue)
    lab.api.remove(CiliumIdentity.resource, namespace: nil, name: name)
    await manager.identitiesChanged([
      .deleted(ObjectKey(kind: CiliumIdentity.resource.kind, namespace: nil, name: name))
    ])
    #expect(await eventually { lab.api[CiliumIdentity.resource, nil, name] != nil })
    #expect(lab.kernelIdentities == [identity])
    #expect(lab.subjects == [identity])
  }

  @Test func anEndpointKeepsItsOwnPodsLabels() async throws {
    try lab.pod()
    _ = try await manager.add(try NodeLab.add(), mtu: nil)
    let identity = try await wanted(app: "web")
    await manager.podApplied(try lab.pod(uid: "u2", app: "successor"))
    try? await Task.sleep(for: .milliseconds(30))
    #expect(lab.kernelIdentities == [identity])
  }

  @Test func aDeleteWrittenDownIsDoneBeforeTheNextAdd() async throws {
    try lab.pod()
    let invocation = try NodeLab.add()
    let first = try await manager.add(invocation, mtu: nil)
    try PendingDeletes(stateDirectory: lab.path).add(invocation.key)
    let second = try await manager.add(invocation, mtu: nil)
    #expect(first != second)
    await manager.replayDeletes()
    #expect(await manager.all.count == 1)
    try PendingDeletes(stateDirectory: lab.path).add(invocation.key)
    await manager.replayDeletes()
    #expect(try lab.leftovers() == [])
  }

  @Test func whatAnAgentLeftUnfinishedGoes() async throws {
    try lab.pod()
    let kept = try await manager.add(try NodeLab.add(), mtu: nil)
    // An agent that died between making the device and writing its record.
    let unfinished = try NodeLab.add("c2")
    _ = try await lab.create(unfinished, uid: "", addresses: [], mtu: 1500) { [lab] in
      try lab.attach(interface: $0, index: $1)
    }
    let successor = try lab.manager()
    _ = try await successor.adopt(pods: [], namespaces: [:])
    await successor.attachAdopted()
    #expect(lab.attachedInterfaces() == [kept.interfaces[0].name])
    #expect(lab.present == [kept.interfaces[0].name])
  }

  @Test func aNewAgentTakesOverWhatItFinds() async throws {
    try lab.pod()
    _ = try await manager.add(try NodeLab.add(), mtu: nil)
    let successor = try lab.manager()
    // Its pod is no longer in the API: the identity and what it stands for stay.
    let identity = try await wanted(app: "web")
    let delta = try await successor.adopt(pods: [], namespaces: [:])
    #expect(delta.addedSubjects == [identity])
    #expect(delta.changedIdentities[identity]?.labels.contains(SecurityLabel("k8s:app=web")) == true)
  }
}
