import JSON
import KubernetesAPI
import Logging
import Synchronization
import Testing

@testable import Operator

/// Against a real API server.
@Suite struct EndpointSliceControllerTests {
  @Test func slicesFollowServicesAndPods() async throws {
    try await withController { client in
      try await client.make("web", ["selector": ["app": "web"], "ports": [["port": 80, "targetPort": "http"]]])
      try await eventually { try await client.slices("web").map { $0["endpoints"] } == [[]] }
      try await client.makePod("a")
      try await client.tell("a", ready: true)
      try await eventually { try await client.conditions("web")["a"]?["ready"] == true }
      let slice = try #require(try await client.slices("web").first)
      #expect(slice["ports"] == [["name": "", "port": 8080, "protocol": "TCP"]])
      let owner = slice[path: "metadata", "ownerReferences"]?.arrayValue?.first
      #expect(owner?["kind"] == "Service" && owner?["name"] == "web")

      try await client.delete(Pod.resource, namespace: "default", name: "a", DeleteOptions(gracePeriod: 30))
      try await eventually { try await client.conditions("web")["a"]?["terminating"] == true }
      let ending = try await client.conditions("web")["a"]
      #expect(ending == ["ready": false, "serving": true, "terminating": true])
      try await client.delete(Pod.resource, namespace: "default", name: "a", DeleteOptions(gracePeriod: 0))
      try await eventually { try await client.conditions("web").isEmpty }

      // Whoever damages a slice sees it made good.
      for slice in try await client.slices("web") {
        let name = slice[path: "metadata", "name"]?.stringValue ?? ""
        try await client.delete(EndpointSlice.resource, namespace: "default", name: name, DeleteOptions())
      }
      try await eventually { try await client.slices("web").count == 1 }
      try await client.delete(Service.resource, namespace: "default", name: "web", DeleteOptions())
      try await eventually { try await client.slices("web").isEmpty }
      try await Task.sleep(for: .milliseconds(300))
      #expect(try await client.slices("web").isEmpty)
    }
  }

  @Test func aFlappingPodIsToldInBatches() async throws {
    try await withController { client in
      try await client.make("web", ["selector": ["app": "web"], "ports": [["port": 80]]])
      try await client.makePod("a")
      try await client.tell("a", ready: true)
      try await eventually { try await client.conditions("web")["a"]?["ready"] == true }
      let writes = Mutex(0)
      let counting = Task {
        await Reflector<EndpointSlice>(client: client).run { delta in
          if case .applied = delta { writes.withLock { $0 += 1 } }
        }
      }
      let start = ContinuousClock.now
      for flap in 0..<100 {
        try await client.tell("a", ready: flap % 2 == 0)
        try await Task.sleep(until: start + .milliseconds(20 * (flap + 1)))
      }
      let time = (ContinuousClock.now - start) / .milliseconds(100)
      try await eventually { try await client.conditions("web")["a"]?["ready"] == false }
      counting.cancel()
      #expect(writes.withLock { $0 } <= Int(time) + 3)
    }
  }

  private func withController(_ body: (KubernetesClient) async throws -> Void) async throws {
    try await withCluster { client in
      let controller = EndpointSliceController(client: client, logger: Logger(label: "test"))
      let running = Task { await controller.run() }
      let result: Result<Void, any Error>
      do { result = .success(try await body(client)) } catch { result = .failure(error) }
      running.cancel()
      await running.value
      try result.get()
    }
  }

  private func eventually(
    _ location: SourceLocation = #_sourceLocation, _ holds: () async throws -> Bool
  ) async throws {
    for _ in 0..<1500 {
      if try await holds() { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("it does not come about", sourceLocation: location)
  }
}

extension KubernetesClient {
  fileprivate func make(_ name: String, _ spec: JSONValue) async throws(KubernetesError) {
    _ = try await create(
      Service.resource,
      [
        "apiVersion": "v1", "kind": "Service", "metadata": ["name": .string(name), "namespace": "default"],
        "spec": spec,
      ])
  }

  fileprivate func makePod(_ name: String) async throws(KubernetesError) {
    _ = try await create(
      Pod.resource,
      [
        "apiVersion": "v1", "kind": "Pod",
        "metadata": ["name": .string(name), "namespace": "default", "labels": ["app": "web"]],
        "spec": [
          "nodeName": "n1",
          "containers": [["name": "c", "image": "none", "ports": [["name": "http", "containerPort": 8080]]]],
        ],
      ])
  }

  fileprivate func tell(_ name: String, ready: Bool) async throws(KubernetesError) {
    _ = try await patchStatus(
      Pod.resource, namespace: "default", name: name,
      [
        "status": [
          "phase": "Running", "podIP": "10.0.0.1", "podIPs": [["ip": "10.0.0.1"]],
          "conditions": [["type": "Ready", "status": .string(ready ? "True" : "False")]],
        ]
      ])
  }

  fileprivate func slices(_ service: String) async throws(KubernetesError) -> [JSONValue] {
    try await listAll(EndpointSlice.resource, namespace: "default", ListOptions(limit: 500)).items.filter {
      $0[path: "metadata", "labels", EndpointSlice.serviceNameLabel]?.stringValue == service
    }
  }

  fileprivate func conditions(_ service: String) async throws(KubernetesError) -> [String: JSONValue] {
    var conditions: [String: JSONValue] = [:]
    for slice in try await slices(service) {
      for endpoint in slice["endpoints"]?.arrayValue ?? [] {
        conditions[endpoint[path: "targetRef", "name"]?.stringValue ?? ""] = endpoint["conditions"]
      }
    }
    return conditions
  }
}
