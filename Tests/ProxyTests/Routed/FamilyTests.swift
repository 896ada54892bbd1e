import Addressing
import Testing

@testable import Proxy

@Suite struct FamilyTests {
  private func cluster(_ addresses: [String], reusing previous: RoutedCluster? = nil) throws -> RoutedCluster {
    let seats = try addresses.map { address in
      ClusterSpecification.Seat(
        address: SocketAddress(try #require(IPAddress(address)), port: 80), hostname: "", weight: 1)
    }
    return RoutedCluster(
      ClusterSpecification(name: "a/b", seats: seats), metrics: ClusterMetrics(.init(object: "o", cluster: "a/b")),
      reusing: previous)
  }

  private func picks(_ cluster: RoutedCluster?, isIPv4: Bool) -> Set<String> {
    Set(
      (0..<20).compactMap {
        cluster?.reachable(isIPv4: isIPv4)?.pick(random: UInt64($0)).map { $0.address.address.description }
      })
  }

  @Test func `clients are led to their own family`() throws {
    let both = try cluster(["10.0.0.1", "fd00::1", "10.0.0.2", "fd00::2"])
    #expect(picks(both, isIPv4: true) == ["10.0.0.1", "10.0.0.2"])
    #expect(picks(both, isIPv4: false) == ["fd00::1", "fd00::2"])
    let one = try cluster(["10.0.0.1"])
    #expect(picks(one, isIPv4: true) == ["10.0.0.1"])
    #expect(picks(one, isIPv4: false).isEmpty)
    #expect(picks(try cluster([]), isIPv4: true).isEmpty)
  }

  @Test func `endpoints that stay are the same`() throws {
    let before = try cluster(["10.0.0.1", "fd00::1"])
    let after = try cluster(["10.0.0.1", "10.0.0.3", "fd00::1"], reusing: before)
    let known = try #require(before.reachable(isIPv4: true)?.pick(random: 0))
    #expect(after.reachable(isIPv4: true)?.endpoints.contains { $0 === known } == true)
  }
}
