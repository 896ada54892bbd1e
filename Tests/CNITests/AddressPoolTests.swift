import Addressing
import CNI
import Testing

@Suite struct AddressPoolTests {
  @Test(arguments: [
    ("10.0.0.0/30", ["10.0.0.2"]),
    ("10.0.0.0/29", ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]),
    ("10.0.0.248/29", ["10.0.0.250", "10.0.0.251", "10.0.0.252", "10.0.0.253", "10.0.0.254"]),
    ("fd00::/126", ["fd00::2", "fd00::3"]),
    ("fd00::fffc/126", ["fd00::fffe", "fd00::ffff"]),
  ])
  func everyUsableAddressOnceThenExhausted(cidr: String, expected: [String]) throws {
    var pool = try AddressPool(#require(CIDR(cidr)))
    #expect(pool.capacity == UInt64(expected.count))
    for address in expected { #expect(try pool.allocate().description == address) }
    let error = #expect(throws: AddressPoolError.self) { try pool.allocate() }
    #expect(error?.description.contains(cidr) == true)
  }

  @Test(arguments: ["10.0.0.0/31", "10.0.0.1/32", "fd00::/127", "fd00::1/128"])
  func tooSmall(cidr: String) throws {
    let cidr = try #require(CIDR(cidr))
    #expect(throws: AddressPoolError.tooSmall(cidr)) { try AddressPool(cidr) }
  }

  @Test(arguments: ["0.0.0.0/0", "::/0", "fd00::/48", "fd00::/64", "10.0.0.0/8"])
  func largeBlocks(cidr: String) throws {
    let cidr = try #require(CIDR(cidr))
    var pool = try AddressPool(cidr)
    #expect(try pool.allocate() == cidr.address.advanced(by: 2))
    #expect(pool.gateway == cidr.address.advanced(by: 1))
  }

  @Test func releasedAddressesComeBackLast() throws {
    var pool = try AddressPool(#require(CIDR("10.0.0.0/29")))
    let first = try pool.allocate()
    let released = [pool.release(first), pool.release(first)]
    #expect(released == [true, false])
    let order = try (0..<5).map { _ in try pool.allocate().description }
    #expect(order == ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"])
  }

  @Test func allocationGoesOnBehindWhatWasClaimed() throws {
    var pool = try AddressPool(#require(CIDR("10.0.0.0/24")))
    try pool.claim(#require(IPAddress("10.0.0.7")))
    #expect(try pool.allocate().description == "10.0.0.8")
  }

  @Test(arguments: [
    ("10.0.1.2", "outside"), ("fd00::2", "outside"), ("10.0.0.0", "reserved"), ("10.0.0.1", "reserved"),
    ("10.0.0.255", "reserved"), ("10.0.0.9", "in use"),
  ])
  func badClaims(address: String, word: String) throws {
    var pool = try AddressPool(#require(CIDR("10.0.0.0/24")))
    try pool.claim(#require(IPAddress("10.0.0.9")))
    let error = try #require(
      throws: AddressPoolError.self, performing: { try pool.claim(#require(IPAddress(address))) })
    #expect(error.description.contains(word))
  }

  @Test func dualStackIsAllOrNothing() throws {
    var ipam = try HostScopeIPAM([#require(CIDR("10.0.0.0/24")), #require(CIDR("fd00::/126"))])
    #expect(try ipam.allocate().map(\.description) == ["10.0.0.2", "fd00::2"])
    #expect(try ipam.allocate().map(\.description) == ["10.0.0.3", "fd00::3"])
    #expect(throws: AddressPoolError.exhausted(try #require(CIDR("fd00::/126")))) { try ipam.allocate() }
    #expect(ipam.pools.map(\.count) == [2, 2])
    ipam.release([try #require(IPAddress("10.0.0.2")), try #require(IPAddress("fd00::2"))])
    // The failed attempt above took nothing, so IPv4 goes on where it stood.
    #expect(try ipam.allocate().map(\.description) == ["10.0.0.4", "fd00::2"])
  }

  @Test func claimsAreAllOrNothing() throws {
    var ipam = try HostScopeIPAM([#require(CIDR("10.0.0.0/24")), #require(CIDR("fd00::/64"))])
    let inside = try #require(IPAddress("10.0.0.5"))
    #expect(throws: AddressPoolError.self) { try ipam.claim([inside, #require(IPAddress("fd01::1"))]) }
    #expect(!ipam.pools[0].isInUse(inside))
    try ipam.claim([inside])
    #expect(ipam.pools[0].isInUse(inside))
  }
}
