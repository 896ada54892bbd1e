import Addressing
import BPF
import Files
import Testing

@testable import Host

/// What a host lacks is said before anything is touched.
@Suite struct PreflightTests {
  private func preflight(missing: Feature? = nil) -> Preflight {
    Preflight(
      userID: 0, capabilities: .max,
      probe: { $0 == missing ? .missing(reason: "it said no") : .supported },
      deviceIsEthernet: { ["eth0": true, "lo": false][$0] })
  }

  private func complaint(_ preflight: Preflight, devices: [String] = []) -> String {
    do throws(HostError) {
      try preflight.check(devices: devices)
      return ""
    } catch {
      return error.description
    }
  }

  @Test func `nothing is missing`() { #expect(complaint(preflight(), devices: ["eth0"]) == "") }

  @Test func `root`() {
    var preflight = preflight()
    preflight.userID = 1000
    #expect(complaint(preflight).hasPrefix("must run as root"))
  }

  @Test func `capabilities`() {
    var preflight = preflight()
    preflight.capabilities = ~(1 << 39 | 1 << 12)
    #expect(complaint(preflight).hasPrefix("root lacks CAP_NET_ADMIN, CAP_BPF"))
  }

  @Test func `devices`() {
    #expect(complaint(preflight(), devices: ["eth0", "eth7"]).contains("no network device \"eth7\""))
    #expect(complaint(preflight(), devices: ["eth0", "lo"]).contains("\"lo\" does not carry Ethernet frames"))
  }

  @Test(arguments: [
    (Feature.ringBuffer, "BPF ring buffers (Linux 5.8)"), (.mapType(.lpmTrie), "LPM trie maps"),
    (.helper(155, .schedCLS), "redirect_peer (Linux 5.10)"),
  ]) func `features of the kernel`(_ feature: Feature, _ name: String) {
    let text = complaint(preflight(missing: feature))
    #expect(text.contains(name) && text.hasSuffix("it said no"), "\(text)")
  }
}

/// Settings that can not be used are told before anything is touched.
@Suite struct SettingsCheckTests {
  private func complaint(
    state: String = "/tmp/x", pods: [String] = ["10.244.0.0/16", "fd00:10:244::/64"],
    services: [String] = ["10.96.0.0/16", "fd00:10:96::/112"], balancers: [String] = []
  ) -> String {
    func blocks(_ texts: [String]) -> [CIDR] { texts.compactMap { CIDR($0) } }
    do throws(HostError) {
      try Preflight.check(StateDirectory(state))
      try Preflight.check(pods: blocks(pods), services: blocks(services), balancers: blocks(balancers))
      return ""
    } catch {
      return error.description
    }
  }

  @Test func `what is usual is fine`() { #expect(complaint(balancers: ["192.0.2.0/24"]) == "") }

  @Test func `blocks that overlap`() {
    #expect(
      complaint(services: ["10.244.3.0/24", "fd00:10:96::/112"])
        .hasPrefix("--service-cidr 10.244.3.0/24 overlaps --pod-cidr 10.244.0.0/16"))
    #expect(complaint(pods: ["10.0.0.0/8", "fd00:10:244::/64"]).contains("overlaps --pod-cidr 10.0.0.0/8"))
    #expect(complaint(balancers: ["fd00:10:96::/120"]).contains("overlaps --service-cidr fd00:10:96::/112"))
  }

  @Test func `paths that are too long for sockets`() {
    let prefix = "/tmp/"
    let longest = 107 - "/proxy/access.sock".utf8.count
    let fits = prefix + String(repeating: "a", count: longest - prefix.utf8.count)
    #expect(complaint(state: fits) == "")
    #expect(complaint(state: fits + "a").contains("too long"))
  }
}
