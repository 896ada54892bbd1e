import Addressing
import Files
import TestSupport
import Testing

@testable import Host

/// What an instance takes of a network namespace that it may share with others.
@Suite struct NamespaceShareTests {
  private func blocks(_ text: String) -> [CIDR] { text.split(separator: ",").compactMap { CIDR($0) } }

  private func configuration(_ change: (inout HostConfiguration) -> Void = { _ in }) -> HostConfiguration {
    var configuration = HostConfiguration(directory: StateDirectory("/tmp/mine"), nodeName: "n", keepsDatapath: false)
    change(&configuration)
    return configuration
  }

  /// `state=/a pods=10.0.0.0/8 …` of an instance with the number 1.
  private func claims(_ text: String) -> [NamespaceClaim] {
    text.split(separator: " ").compactMap { NamespaceClaim(name: "martlet/00000001/\($0)") }
  }

  private func share(
    _ others: String = "", _ configuration: HostConfiguration? = nil, remembered: RememberedShare = RememberedShare(),
    inUse: String = "", taken: Set<UInt16> = []
  ) throws(HostError) -> NamespaceShare {
    try NamespaceShare(
      configuration ?? self.configuration(), remembered: remembered,
      NamespaceShare.Surroundings(
        others: claims(others), inUse: blocks(inUse), isPortFree: { !taken.contains($0) }))
  }

  private func text(_ share: NamespaceShare) -> String {
    let blocks = (share.podCIDRs + share.serviceCIDRs).map(\.description).joined(separator: " ")
    return "\(share.api.port) \(share.agentMetrics.port) \(share.proxyMetrics.port) \(blocks)"
  }

  private static let alone = "6443 9962 9964 10.244.0.0/16 fd00:10:244::/64 10.96.0.0/16 fd00:10:96::/112"

  @Test func `alone it has what is usual`() throws {
    #expect(try text(share()) == Self.alone)
    #expect(try text(share(taken: [6443, 9962])) == Self.alone, "the port of somebody else is complained of, not left")
    #expect(try text(share(inUse: "10.0.0.0/8,0.0.0.0/0,10.1.0.0/16,fe80::/64")) == Self.alone)
  }

  @Test(arguments: [
    ("port=6443", "6444 9962 9964 10.244.0.0/16 fd00:10:244::/64 10.96.0.0/16 fd00:10:96::/112"),
    ("port=9962 port=9964", "6443 9972 9974 10.244.0.0/16 fd00:10:244::/64 10.96.0.0/16 fd00:10:96::/112"),
    ("pods=10.244.7.0/24", "6443 9962 9964 10.245.0.0/16 fd00:10:245::/64 10.96.0.0/16 fd00:10:96::/112"),
    ("pods=fd00:10:244::/48", "6443 9962 9964 10.245.0.0/16 fd00:10:245::/64 10.96.0.0/16 fd00:10:96::/112"),
    ("balancers=10.244.0.0/15", "6443 9962 9964 10.246.0.0/16 fd00:10:246::/64 10.96.0.0/16 fd00:10:96::/112"),
    ("services=10.96.0.0/16", "6443 9962 9964 10.244.0.0/16 fd00:10:244::/64 10.97.0.0/16 fd00:10:97::/112"),
    ("device=eth0 state=/tmp/other nonsense", alone),
  ]) func `it leaves to others what they have`(_ others: String, _ expected: String) throws {
    #expect(try text(share(others)) == expected)
  }

  @Test func `what is in use is left, as another instance may have crashed`() throws {
    #expect(try share(inUse: "10.244.0.7/32").podCIDRs == blocks("10.245.0.0/16,fd00:10:245::/64"))
    #expect(try share(inUse: "fd00:10:244::1/128").podCIDRs == blocks("10.245.0.0/16,fd00:10:245::/64"))
    #expect(try share("port=6443", taken: [6444, 6445]).api.port == 6446)
  }

  @Test func `it remembers what it had`() throws {
    var remembered = RememberedShare()
    remembered.podCIDRs = blocks("10.250.0.0/16,fd00:10:250::/64")
    remembered.serviceCIDRs = blocks("10.100.0.0/16,fd00:10:100::/112")
    remembered.apiPort = 6450
    remembered.agentMetricsPort = 9992
    let expected = "6450 9992 9964 10.250.0.0/16 fd00:10:250::/64 10.100.0.0/16 fd00:10:100::/112"
    #expect(
      try text(share(remembered: remembered, inUse: "10.250.0.2/32")) == expected, "its own pods of a crashed run")
    #expect(
      try text(share("pods=10.250.0.0/16 services=10.100.0.0/16 port=6450 port=9992", remembered: remembered))
        == Self.alone)
    #expect(try share(remembered: remembered, taken: [6450]).api.port == 6443)
    let told = configuration {
      $0.podCIDRs = blocks("10.1.0.0/16,fd01::/64")
      $0.apiAddress = ListenAddress("127.0.0.1:7443")
    }
    let chosen = try share("", told, remembered: remembered)
    #expect(chosen.podCIDRs == told.podCIDRs && chosen.api.port == 7443)

    let directory = try TemporaryDirectory.make("remembered")
    defer { TemporaryDirectory.remove(directory) }
    let state = StateDirectory(directory)
    #expect(RememberedShare(of: state) == RememberedShare())
    try RememberedShare(chosen, of: told).save(in: state)
    let read = RememberedShare(of: state)
    #expect(read.podCIDRs == nil && read.apiPort == nil, "it was told these")
    #expect(
      read.serviceCIDRs == remembered.serviceCIDRs && read.agentMetricsPort == 9992 && read.proxyMetricsPort == 9964)
    try StateFiles.write(Array("{".utf8), to: state.chosen)
    #expect(RememberedShare(of: state) == RememberedShare())
  }

  @Test func `what is asked for by name and another one has is refused`() {
    func complaint(_ others: String, _ change: (inout HostConfiguration) -> Void) -> String {
      do throws(HostError) {
        _ = try share("state=/tmp/other " + others, configuration(change))
        return ""
      } catch {
        return error.description
      }
    }
    #expect(
      complaint("pods=10.244.0.0/16") { $0.podCIDRs = blocks("10.244.9.0/24,fd99::/64") }
        == "--pod-cidr 10.244.9.0/24 overlaps 10.244.0.0/16, which the `martlet up` with the state directory /tmp/other has for "
        + "pods in the same network namespace; give another block")
    #expect(
      complaint("services=10.96.0.0/16") { $0.serviceCIDRs = blocks("10.0.0.0/8,fd99::/112") }
        .hasPrefix("--service-cidr 10.0.0.0/8 overlaps 10.96.0.0/16"))
    #expect(
      complaint("balancers=192.0.2.0/24") { $0.loadBalancerCIDRs = blocks("192.0.2.8/29") }
        .hasPrefix("--load-balancer-cidr 192.0.2.8/29 overlaps"))
    #expect(
      complaint("device=eth0") { $0.devices = ["eth1", "eth0"] }
        .hasPrefix("--device: the `martlet up` with the state directory /tmp/other has \"eth0\""))
    #expect(complaint("device=eth0") { $0.devices = ["eth1"] } == "")
    #expect(complaint("pods=0.0.0.0/0") { _ in }.contains("give one with --pod-cidr"))
  }
}

/// How instances tell each other what they have.
@Suite struct NamespaceHoldTests {
  @Test func `abstract names are found in the kernel's table`() {
    let table = """
      Num       RefCount Protocol Flags    Type St Inode Path
      0000000000000000: 00000003 00000000 00000000 0001 03 23011
      0000000000000000: 00000002 00000000 00000000 0002 01 1234567 @martlet/12345678/state=/tmp/with space
      0000000000000000: 00000002 00000000 00010000 0001 01 23012 /run/@martlet/socket
      0000000000000000: 00000002 00000000 00000000 0002 01 23014 @martlet/12345678/port=6443
      """
    #expect(
      AbstractName.names(table: table) == ["martlet/12345678/state=/tmp/with space", "martlet/12345678/port=6443"])
  }

  @Test(arguments: ["martlet/turn", "martlet/1/", "martlet/1/pods", "martlet/1/sheep=1", "other/1/pods=10.0.0.0/8"])
  func `what is no claim`(_ name: String) { #expect(NamespaceClaim(name: name) == nil) }

  @Test func `claims are seen until they are given back`() throws {
    let (one, other) = (NamespaceHold(instance: "fffe0001"), NamespaceHold(instance: "fffe0002"))
    let claims = [NamespaceClaim("fffe0001", .state, "/tmp/a/b=c"), NamespaceClaim("fffe0001", .port, "1")]
    try one.claim { _ in ((), claims) }
    var seen = try other.claim { ($0.filter { $0.instance == "fffe0001" }, []) }
    #expect(Set(seen) == Set(claims))
    #expect(seen.holder("fffe0001").hasSuffix("/tmp/a/b=c"))
    // The lower half of the number tells whose a packet is.
    #expect {
      try NamespaceHold(instance: "00000001").claim { _ in ((), []) }
    } throws: {
      "\($0)".contains("/tmp/a/b=c") && "\($0)".contains("--state-dir")
    }
    try one.leave { _ in }
    seen = try other.claim { ($0.filter { $0.instance == "fffe0001" }, []) }
    #expect(seen == [])
  }
}
