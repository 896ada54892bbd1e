import BPF
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
