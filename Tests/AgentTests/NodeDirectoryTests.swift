import Addressing
import Identity
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
