import Addressing
import Testing

@Suite struct AddressingTests {
  @Test(arguments: ["0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "::1", "fe80::1", "2001:db8::a:0:0:1"])
  func textRoundTrip(_ text: String) {
    #expect(IPAddress(text)?.description == text)
  }

  @Test(arguments: ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::g", "fe80::1%eth0", "1.2.3.4/8", " 1.2.3.4", "01.2.3.4x"])
  func refusesOtherText(_ text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test func bothFamiliesShareOneForm() throws {
    let address = try #require(IPAddress("10.0.0.1"))
    #expect(address.bytes == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1])
    #expect(IPAddress(bytes: address.bytes) == address)
    #expect(IPAddress(bytes: address.familyBytes) == address)
    #expect(IPAddress("::ffff:10.0.0.1") == address)
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.0", false), ("0.0.0.0/0", "1.2.3.4", true),
    ("0.0.0.0/0", "::1", false), ("::/0", "1.2.3.4", true), ("2001:db8::/32", "2001:db8:ffff::1", true),
    ("2001:db8::/32", "2001:db9::1", false), ("10.0.0.1", "10.0.0.1", true), ("10.0.0.1", "10.0.0.2", false),
  ])
  func containment(_ block: String, _ address: String, _ expected: Bool) throws {
    #expect(try #require(CIDR(block)).contains(try #require(IPAddress(address))) == expected)
  }

  @Test func hostBitsAreCleared() {
    #expect(CIDR("10.1.2.3/8")?.description == "10.0.0.0/8")
    #expect(CIDR("2001:db8::1/64")?.description == "2001:db8::/64")
    #expect(CIDR("10.1.2.3/33") == nil)
    #expect(CIDR("10.1.2.3/+8") == nil)
  }

  @Test func mac() {
    #expect(MACAddress("02:00:5e:10:00:ff")?.description == "02:00:5e:10:00:ff")
    #expect(MACAddress("02:00:5e:10:00") == nil)
    #expect(MACAddress(random: .max).bytes[0] & 3 == 2)
  }
}
