import Addressing
import JSON
import TestSupport
import Testing

@testable import ControlPlane

@Suite struct LoadBalancerTests {
  private static let path = ServiceTests.path

  private func server(_ ranges: String..., path: String? = nil) throws -> APIServer {
    let network = ServiceNetwork(
      clusterRanges: testServices.network.clusterRanges, loadBalancerRanges: ranges.compactMap { CIDR($0) })
    return try makeServer(path: path, services: ServiceStrategy(network: network))
  }

  private func balanced(_ name: String, _ extra: JSONValue = [:], annotations: JSONValue = [:]) -> JSONValue {
    var spec: JSONValue = ["ports": ServiceTests.http, "type": "LoadBalancer"]
    for (key, value) in extra.objectValue ?? [:] { spec[key] = value }
    return ServiceTests.service(name, spec, annotations: annotations)
  }

  private func condition(_ object: JSONValue) -> String? {
    object["status"]?["conditions"]?.arrayValue?.first?["message"]?.stringValue
  }

  @Test func addressesOfBothFamilies() async throws {
    let server = try server("192.0.2.8/31", "2001:db8::/126")
    let first = try await server.send(.post, Self.path, balanced("a", ["ipFamilyPolicy": "RequireDualStack"])).body
    #expect(ServiceDocument(first).loadBalancerIPs == ["192.0.2.8", "2001:db8::"])
    #expect(first["status"]?["loadBalancer"]?["ingress"]?.arrayValue?.first?["ipMode"] == "VIP")
    let second = try await server.send(.post, Self.path, balanced("b")).body
    #expect(ServiceDocument(second).loadBalancerIPs == ["192.0.2.9"])
    let third = try await server.send(.post, Self.path, balanced("c")).body
    #expect(ServiceDocument(third).loadBalancerIPs == [])
    #expect(condition(third) == "no IPv4 address is left in 192.0.2.8/31, 2001:db8::/126")
    // What one gives back, the next one gets.
    _ = try await server.send(.delete, Self.path + "/b")
    let served = try await server.send(.get, Self.path + "/c").body
    #expect(ServiceDocument(served).loadBalancerIPs == ["192.0.2.9"] && condition(served) == nil)
    let plain = try await server.send(
      .patch, Self.path + "/c", ["spec": ["type": "ClusterIP"]], type: "application/merge-patch+json"
    ).body
    #expect(plain["status"] == ["loadBalancer": [:]])
  }

  @Test func requestedAddresses() async throws {
    let server = try server("192.0.2.0/24")
    let field = try await server.send(.post, Self.path, balanced("a", ["loadBalancerIP": "192.0.2.77"])).body
    #expect(ServiceDocument(field).loadBalancerIPs == ["192.0.2.77"])
    let annotated = try await server.send(
      .post, Self.path, balanced("b", annotations: ["lbipam.cilium.io/ips": "192.0.2.5, 192.0.2.6"])
    ).body
    #expect(ServiceDocument(annotated).loadBalancerIPs == ["192.0.2.5", "192.0.2.6"])
    let taken = try await server.send(.post, Self.path, balanced("c", ["loadBalancerIP": "192.0.2.77"])).body
    #expect(ServiceDocument(taken).loadBalancerIPs == [] && condition(taken) == "192.0.2.77 is already allocated")
    let outside = try await server.send(.post, Self.path, balanced("d", ["loadBalancerIP": "198.51.100.1"])).body
    #expect(condition(outside) == "198.51.100.1 is not in 192.0.2.0/24")
    let moved = try await server.send(
      .patch, Self.path + "/a", ["spec": ["loadBalancerIP": "192.0.2.78"]], type: "application/merge-patch+json"
    ).body
    #expect(ServiceDocument(moved).loadBalancerIPs == ["192.0.2.78"])
    let after = try await server.send(.get, Self.path + "/c").body
    #expect(ServiceDocument(after).loadBalancerIPs == ["192.0.2.77"])
  }

  @Test func anotherClassIsLeftAlone() async throws {
    let server = try server("192.0.2.0/24")
    let other = try await server.send(.post, Self.path, balanced("a", ["loadBalancerClass": "other/one"])).body
    #expect(other["status"] == ["loadBalancer": [:]])
    let status: JSONValue = ["status": ["loadBalancer": ["ingress": [["ip": "198.51.100.7"]]]]]
    let told = try await server.send(
      .patch, Self.path + "/a/status", status, type: "application/merge-patch+json"
    ).body
    #expect(ServiceDocument(told).loadBalancerIPs == ["198.51.100.7"])
    let ours = try await server.send(
      .post, Self.path, balanced("b", ["loadBalancerClass": .string(LoadBalancerAddresses.className)])
    ).body
    #expect(ServiceDocument(ours).loadBalancerIPs.count == 1)
    let changed = try await server.send(
      .patch, Self.path + "/b", ["spec": ["loadBalancerClass": "other/one"]], type: "application/merge-patch+json")
    #expect(changed.body["message"]?.stringValue?.hasSuffix("may not change once set") == true)
  }

  @Test func aRestartWithOtherRangesMovesThem() async throws {
    let folder = try TemporaryDirectory()
    do {
      let server = try server(path: folder.path + "/db")
      #expect(
        try await server.send(.post, Self.path, balanced("a")).body["status"] == ["loadBalancer": [:]])
    }
    do {
      let server = try server("192.0.2.0/24", path: folder.path + "/db")
      #expect(ServiceDocument(try await server.send(.get, Self.path + "/a").body).loadBalancerIPs == ["192.0.2.0"])
    }
    let server = try server("198.51.100.0/24", path: folder.path + "/db")
    #expect(ServiceDocument(try await server.send(.get, Self.path + "/a").body).loadBalancerIPs == ["198.51.100.0"])
  }

  @Test func theServersOwnService() async throws {
    let server = try makeServer()
    try server.publishItself(address: "127.0.0.1", port: 6443)
    let service = try await server.send(.get, Self.path + "/kubernetes").body
    #expect(ServiceDocument(service).clusterIPs == ["10.96.0.1"])
    #expect(
      service["spec"]?["ports"] == [["name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443]])
    _ = try await server.send(.delete, Self.path + "/kubernetes")
    try server.publishItself(address: "127.0.0.1", port: 6443)
    #expect(try await server.send(.get, Self.path + "/kubernetes").code == 200)
    let slices = "apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
    #expect(try await server.send(.get, slices).code == 404)
    try server.publishItself(address: "192.0.2.1", port: 7443)
    let slice = try await server.send(.get, slices).body
    #expect(slice["endpoints"]?.arrayValue?.first?["addresses"] == ["192.0.2.1"])
    #expect(
      try await server.send(.get, Self.path + "/kubernetes").body["spec"]?["ports"]?.arrayValue?[0]["targetPort"]
        == 7443)
    let version = try await server.send(.get, Self.path + "/kubernetes").body["metadata"]?["resourceVersion"]
    try server.publishItself(address: "192.0.2.1", port: 7443)
    #expect(try await server.send(.get, Self.path + "/kubernetes").body["metadata"]?["resourceVersion"] == version)
  }
}
