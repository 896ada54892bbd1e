import Identity
import JSON
import KubernetesAPI
import Logging
import Testing

@testable import Agent

@Suite struct IdentityServiceTests {
  private let api = MemoryObjects()
  private let labels = IdentityLabels(podLabels: ["app": "web"], namespace: "a")

  private var service: IdentityService { IdentityService(api: api, logger: Logger(label: "test")) }

  private func document(_ number: UInt32, _ labels: IdentityLabels, marked: Bool = false) -> JSONValue {
    [
      "apiVersion": "cilium.io/v2", "kind": "CiliumIdentity",
      "metadata": [
        "name": .string(String(number)),
        "annotations": marked ? [CiliumIdentity.unusedSince: "2026-01-01T00:00:00Z"] : [:],
      ],
      "security-labels": .object(labels.sourced.mapValues(JSONValue.string)),
    ]
  }

  private func object(_ number: UInt32, _ labels: IdentityLabels, marked: Bool = false) throws -> CiliumIdentity {
    try CiliumIdentity(document(number, labels, marked: marked))
  }

  private func stored(_ number: NumericIdentity) -> JSONValue? {
    api[CiliumIdentity.resource, nil, String(number.rawValue)]
  }

  @Test func nobodyIsToldANumberBeforeItsObjectIsThere() async throws {
    let service = service
    let gate = Gate()
    api.before { (verb, _) async throws(KubernetesError) in if verb == "create" { await gate.pass() } }
    async let first = service.identity(of: labels)
    await gate.visited()
    async let second = service.identity(of: labels)
    #expect(await service.labels(of: NumericIdentity(rawValue: 256)) == nil)
    await gate.open()
    let numbers = try await (first, second)
    #expect(numbers.0 == numbers.1)
    #expect(stored(numbers.0) != nil)
    #expect(api.log == ["create 256"])
  }

  @Test func aFailedCreationLeavesNoNumberBehind() async throws {
    let service = service
    api.before { (_, _) async throws(KubernetesError) in throw MemoryObjects.unavailable }
    await #expect(throws: KubernetesError.self) { try await service.identity(of: labels) }
    api.before { (_, _) async throws(KubernetesError) in }
    let number = try await service.identity(of: labels)
    #expect(stored(number) != nil)
  }

  @Test func aListReadMeanwhileDoesNotGiveTheNumberToOthers() async throws {
    let service = service
    let gate = Gate()
    api.before { (verb, name) async throws(KubernetesError) in
      if verb == "create", name == "256" { await gate.pass() }
    }
    async let first = service.identity(of: labels)
    await gate.visited()
    await service.replace([])
    let other = try await service.identity(of: IdentityLabels(podLabels: ["app": "other"], namespace: "a"))
    await gate.open()
    #expect(try await first != other)
  }

  @Test func theFirstOfTwoCreatorsWins() async throws {
    api.put(CiliumIdentity.resource, document(256, IdentityLabels(podLabels: ["app": "db"], namespace: "a")))
    api.put(CiliumIdentity.resource, document(300, labels))
    #expect(try await service.identity(of: labels).rawValue == 300)
  }

  @Test func takingAMarkedIdentityRemovesTheMark() async throws {
    let service = service
    let marked = try object(256, labels, marked: true)
    api.put(CiliumIdentity.resource, document(256, labels, marked: true))
    await service.replace([marked])
    let version = stored(marked.number)?[path: "metadata", "resourceVersion"]?.stringValue
    #expect(try await service.identity(of: labels).rawValue == 256)
    #expect(stored(marked.number)?[path: "metadata", "annotations", CiliumIdentity.unusedSince] == nil)
    // The operator's deletion, in the version that it marked, comes too late.
    await #expect(throws: KubernetesError.self) {
      try await api.delete(
        CiliumIdentity.resource, namespace: nil, name: "256", DeleteOptions(resourceVersion: version))
    }
  }

  @Test func anIdentityDeletedUnderItsTakerIsMadeAgain() async throws {
    let service = service
    await service.replace([try object(256, labels, marked: true)])
    let number = try await service.identity(of: labels, preferring: NumericIdentity(rawValue: 256))
    #expect(number.rawValue == 256)
    #expect(stored(number) != nil)
  }
}
