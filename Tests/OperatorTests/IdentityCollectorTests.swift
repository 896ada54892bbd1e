import JSON
import KubernetesAPI
import Logging
import Operator
import Synchronization
import Testing

/// Against a real API server, whose preconditions are what makes the collection safe.
@Suite struct IdentityCollectorTests {
  private static let grace = Duration.seconds(300)

  @Test func anUnusedIdentityGoesAfterTwoGracePeriods() async throws {
    try await withCluster { api, collector, start in
      try await api.makeIdentity(256)
      try await api.makeIdentity(257)
      try await api.makeEndpoint("web", identity: 257)
      try await collector.sweep(at: start)
      #expect(try await api.marked() == [])
      try await collector.sweep(at: start + Self.grace)
      #expect(try await api.marked() == ["256"])
      try await collector.sweep(at: start + Self.grace * 1.5)
      #expect(try await api.names() == ["256", "257"])
      try await collector.sweep(at: start + Self.grace * 2)
      #expect(try await api.names() == ["257"])
    }
  }

  @Test func anIdentityTakenIntoUseStays() async throws {
    try await withCluster { api, collector, start in
      try await api.makeIdentity(256)
      try await collector.sweep(at: start)
      try await collector.sweep(at: start + Self.grace)
      // The taker's endpoint is published later than the next sweep.
      try await api.takeMark(256)
      try await collector.sweep(at: start + Self.grace * 3)
      #expect(try await api.names() == ["256"])
      try await api.makeEndpoint("web", identity: 256)
      for sweep in 4..<10 { try await collector.sweep(at: start + Self.grace * sweep) }
      #expect(try await api.names() == ["256"])
      #expect(try await api.marked() == [])
    }
  }

  @Test func aUsedIdentityLosesItsMark() async throws {
    try await withCluster { api, collector, start in
      try await api.makeIdentity(256)
      try await collector.sweep(at: start)
      try await collector.sweep(at: start + Self.grace)
      try await api.makeEndpoint("web", identity: 256)
      try await collector.sweep(at: start + Self.grace * 3)
      #expect(try await api.marked() == [])
      #expect(try await api.names() == ["256"])
    }
  }

  @Test func aNewCollectorWaitsAgain() async throws {
    try await withCluster { api, collector, start in
      try await api.makeIdentity(256)
      try await collector.sweep(at: start)
      try await collector.sweep(at: start + Self.grace)
      let successor = IdentityCollector(api: api, grace: Self.grace, logger: Logger(label: "test"))
      try await successor.sweep(at: start + Self.grace * 9)
      #expect(try await api.names() == ["256"])
      try await successor.sweep(at: start + Self.grace * 10)
      #expect(try await api.names() == [])
    }
  }

  /// A taker that comes between the collector's list and its deletion.
  @Test func aTakerWinsTheRaceWithTheDeletion() async throws {
    try await withCluster { api, _, start in
      try await api.makeIdentity(256)
      let racing = RacingAPI(api: api)
      let collector = IdentityCollector(api: racing, grace: Self.grace, logger: Logger(label: "test"))
      try await collector.sweep(at: start)
      try await collector.sweep(at: start + Self.grace)
      racing.armed.withLock { $0 = true }
      try await collector.sweep(at: start + Self.grace * 2)
      #expect(try await api.names() == ["256"])
      #expect(try await api.marked() == [])
    }
  }

  private func withCluster(
    _ body: (KubernetesClient, IdentityCollector, ContinuousClock.Instant) async throws -> Void
  ) async throws {
    try await OperatorTests.withCluster { client in
      try await body(
        client, IdentityCollector(api: client, grace: Self.grace, logger: Logger(label: "test")), .now)
    }
  }
}

/// Takes the mark away right before a deletion.
private final class RacingAPI: ObjectAPI {
  let api: KubernetesClient
  let armed = Mutex(false)

  init(api: KubernetesClient) { self.api = api }

  func get(_ type: ResourceType, namespace: String?, name: String) async throws(KubernetesError) -> JSONValue {
    try await api.get(type, namespace: namespace, name: name)
  }
  func listAll(
    _ type: ResourceType, namespace: String?, _ options: ListOptions
  ) async throws(KubernetesError) -> ObjectList<JSONValue> {
    try await api.listAll(type, namespace: namespace, options)
  }
  func create(_ type: ResourceType, _ object: JSONValue) async throws(KubernetesError) -> JSONValue {
    try await api.create(type, object)
  }
  func update(_ type: ResourceType, _ object: JSONValue) async throws(KubernetesError) -> JSONValue {
    try await api.update(type, object)
  }
  func patch(
    _ type: ResourceType, namespace: String?, name: String, _ kind: PatchKind, _ patch: JSONValue, subresource: String?
  ) async throws(KubernetesError) -> JSONValue {
    try await api.patch(type, namespace: namespace, name: name, kind, patch, subresource: subresource)
  }
  func delete(
    _ type: ResourceType, namespace: String?, name: String, _ options: DeleteOptions
  ) async throws(KubernetesError) -> JSONValue {
    if armed.withLock({ $0 }) { try await api.takeMark(256) }
    return try await api.delete(type, namespace: namespace, name: name, options)
  }
}

extension KubernetesClient {
  fileprivate func makeIdentity(_ number: Int) async throws(KubernetesError) {
    _ = try await create(
      CiliumIdentity.resource,
      [
        "apiVersion": "cilium.io/v2", "kind": "CiliumIdentity", "metadata": ["name": .string(String(number))],
        "security-labels": ["k8s:app": .string("a\(number)")],
      ])
  }

  fileprivate func makeEndpoint(_ name: String, identity: Int) async throws(KubernetesError) {
    _ = try await create(
      CiliumEndpoint.resource,
      [
        "apiVersion": "cilium.io/v2", "kind": "CiliumEndpoint",
        "metadata": ["name": .string(name), "namespace": "default"],
        "status": ["identity": ["id": .integer(Int64(identity)), "labels": []]],
      ])
  }

  fileprivate func takeMark(_ number: Int) async throws(KubernetesError) {
    _ = try await patch(
      CiliumIdentity.resource, namespace: nil, name: String(number), .merge,
      ["metadata": ["annotations": [CiliumIdentity.unusedSince: .null]]])
  }

  fileprivate func identities() async throws(KubernetesError) -> [CiliumIdentity] {
    try await list(CiliumIdentity.self).items.sorted { $0.identity < $1.identity }
  }

  fileprivate func names() async throws -> [String] { try await identities().map(\.metadata.name) }

  fileprivate func marked() async throws -> [String] {
    try await identities().filter(\.isMarkedUnused).map(\.metadata.name)
  }
}
