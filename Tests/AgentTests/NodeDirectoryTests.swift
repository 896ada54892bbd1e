import Addressing
import Flows
import Identity
import Services
import Testing

@testable import Agent

@Suite struct NodeDirectoryTests {
  @Test func anAddressIsItsNewOwnersWhenTheOldOneGoesLate() throws {
    let directory = NodeDirectory()
    let address = try #require(IPAddress("10.0.0.1"))
    directory.setEndpoint(1, namespace: "a", pod: "old", addresses: [address])
    directory.setEndpoint(2, namespace: "a", pod: "new", addresses: [address])
    directory.removeEndpoint(1, addresses: [address])
    #expect(directory.owner(address: address)?.pod == "new")
    directory.removeEndpoint(2, addresses: [address])
    #expect(directory.owner(address: address)?.pod == nil)
  }

  @Test func namesOfGoneEndpointsAreKeptForAWhile() {
    let directory = NodeDirectory()
    for id in 1...UInt32(NodeDirectory.remembered) + 1 {
      directory.setEndpoint(id, namespace: "a", pod: "p\(id)", addresses: [])
      directory.removeEndpoint(id, addresses: [])
    }
    #expect(directory.endpoint(id: 1)?.pod == nil)
    #expect(directory.endpoint(id: 2)?.pod == "p2")
    // An id that is used again is not forgotten with its predecessor.
    directory.setEndpoint(2, namespace: "a", pod: "again", addresses: [])
    directory.setEndpoint(9999, namespace: "a", pod: "x", addresses: [])
    directory.removeEndpoint(9999, addresses: [])
    #expect(directory.endpoint(id: 2)?.pod == "again")
  }

  @Test func servicesHaveNamesUntilTheirNumbersAreGone() {
    let directory = NodeDirectory()
    let port = PortID(service: ServiceName(namespace: "default", name: "web"), port: 80, protocol: .tcp)
    directory.setServices([4: BalancerID(port: port, family: .ipv4, audience: .everyone)])
    #expect(directory.service(number: 4) == Flow.Service(namespace: "default", name: "web", port: 80))
    directory.setServices([4: nil])
    #expect(directory.service(number: 4) == nil)
  }

  /// What comes from the kernel: connections once, drops by their reason; nothing of Services that are gone.
  @Test func trafficIsCountedByService() throws {
    let traffic = ServiceTraffic()
    let address = try #require(IPAddress("10.0.0.1"))
    func flow(_ verdict: Flow.Verdict, _ name: String?, reason: UInt8 = 0) -> Flow {
      var flow = Flow(
        time: 0, verdict: verdict, direction: .egress, source: Flow.Endpoint(address: address),
        destination: Flow.Endpoint(address: address), ipProtocol: 6)
      flow.service = name.map { Flow.Service(namespace: "default", name: $0, port: 80) }
      flow.dropReason = reason
      return flow
    }
    traffic.count([flow(.forwarded, "web"), flow(.redirected, "web"), flow(.forwarded, nil), flow(.forwarded, "gone")])
    traffic.count([flow(.dropped, "web", reason: 158), flow(.audit, "web", reason: 133)])
    let families = traffic.families([ServiceName(namespace: "default", name: "web")])
    #expect(families.map(\.name) == ["martlet_service_connections_total", "martlet_service_drop_count_total"])
    let rows = families.flatMap(\.samples)
    #expect(rows.map(\.value) == [2, 1])
    #expect(rows[0].labels == ["namespace": "default", "service": "web"])
    #expect(rows[1].labels["reason"] == "SERVICE_BACKEND_NOT_FOUND")
  }

  @Test func labelsOfGoneIdentitiesAreKeptForAWhile() {
    let directory = NodeDirectory()
    let labels = IdentityLabels(podLabels: ["app": "web"], namespace: "default")
    let numbers = (1000..<1000 + UInt32(3 * NodeDirectory.rememberedIdentities)).map(NumericIdentity.init(rawValue:))
    for number in numbers {
      directory.setLabels(number, labels)
      directory.retireLabels(number)
      // One that is used again is not forgotten with its predecessor.
      directory.setLabels(numbers[1], labels)
    }
    #expect(directory.labels(identity: numbers[0].rawValue).isEmpty)
    #expect(!directory.labels(identity: numbers[1].rawValue).isEmpty)
    for number in numbers.suffix(NodeDirectory.rememberedIdentities) {
      #expect(!directory.labels(identity: number.rawValue).isEmpty)
    }
  }
}
