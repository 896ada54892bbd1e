import Addressing
import CMartletABI
import KernelABI
import Testing

@testable import BPF
@testable import Datapath

@Suite struct ABITests {
  @Test func `the names of the maps are those of the programs`() throws {
    let object = try ObjectSpecification(bytes: BPFObjects.endpoint, name: "endpoint")
    #expect(Set(object.maps.map(\.name)) == Set(MapName.allCases.map(\.rawValue)))
  }

  @Test(arguments: ["192.0.2.1", "2001:db8::1"])
  func `an address and its block come back`(_ text: String) throws {
    let address = try #require(IPAddress(text))
    #expect(IPAddress(martlet_addr(address)) == address)
    #expect(CIDR(martlet_ipcache_key(CIDR(address))) == CIDR(address))
  }

  @Test(arguments: [("10.0.0.1", "10.0.0.2"), ("2001:db8::2", "2001:db8::1"), ("10.0.0.1", "10.0.0.1")])
  func `a connection has one key from both sides`(_ ends: (String, String)) throws {
    let client = ConnectionEnd(try #require(IPAddress(ends.0)), port: 40000)
    let server = ConnectionEnd(try #require(IPAddress(ends.1)), port: 80)
    let (key, clientIsB) = martlet_ct_key.of(client: client, server: server, ipProtocol: 6)
    let (back, serverIsB) = martlet_ct_key.of(client: server, server: client, ipProtocol: 6)
    #expect(clientIsB != serverIsB && key.endA == back.endA && key.endB == back.endB)
    #expect((clientIsB ? key.endB : key.endA) == client && (clientIsB ? key.endA : key.endB) == server)
  }
}
