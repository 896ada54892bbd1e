import Addressing
import CNI

/// An agent that answers from a script and keeps what it was asked.
final class FakeAgent: CNIAgent {
  var failure: CNIAgentError?
  /// Calls after which `failure` ends; nil keeps it.
  var failures: Int?
  var calls: [String] = []
  var socket = ""

  static let result = AttachmentResult(
    interfaces: [
      .init(name: "mlt01234567", mac: "02:00:00:00:00:01", mtu: 1500),
      .init(name: "eth0", mac: "02:00:00:00:00:02", mtu: 1500, sandbox: "/run/netns/a"),
    ],
    addresses: [
      .init(IPAddress("10.0.0.2")!, length: 32, gateway: IPAddress("169.254.1.1"), interface: 1),
      .init(IPAddress("fd00::2")!, length: 128, gateway: IPAddress("fe80::1"), interface: 1),
    ],
    routes: [
      .init(CIDR("0.0.0.0/0")!, gateway: IPAddress("169.254.1.1")), .init(CIDR("::/0")!, gateway: IPAddress("fe80::1")),
    ])

  private func call(_ text: String) throws(CNIAgentError) {
    calls.append(text)
    guard let failure else { return }
    if let failures {
      self.failures = failures - 1
      if failures <= 0 { return }
    }
    throw failure
  }

  func add(_ invocation: CNIInvocation, _ configuration: CNIConfiguration) throws(CNIAgentError) -> AttachmentResult {
    try call("add \(invocation.key) \(invocation.netns) \(invocation.podNamespace)/\(invocation.podName)")
    return FakeAgent.result
  }
  func delete(_ key: CNIAttachmentKey) throws(CNIAgentError) { try call("delete \(key)") }
  func check(_ invocation: CNIInvocation, _ configuration: CNIConfiguration) throws(CNIAgentError) {
    let addresses = configuration.previousResult?.addresses.map(\.address.description) ?? []
    try call("check \(invocation.key) \(addresses.joined(separator: ","))")
  }
  func status() throws(CNIAgentError) { try call("status") }
  func collectGarbage(_ configuration: CNIConfiguration) throws(CNIAgentError) {
    try call("gc \(configuration.validAttachments.map(\.description).joined(separator: ","))")
  }
}
