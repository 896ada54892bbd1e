import Addressing
import Datapath
import Files
import Glibc
import Identity
import JSON
import KubernetesAPI
import Logging
import NodeAPI
import Policy
import Synchronization
import TestSupport
import Testing
import Threads

@testable import Agent

/// In which order a policy gets into the kernel, seen by asking the loaded program all the while.
@Suite(.serialized, .enabled(if: geteuid() == 0, "needs root")) struct PolicyControllerTests {
  private static let subject = NumericIdentity(rawValue: 1000)

  private static func policy(_ egress: JSONValue) throws -> PolicyDocument {
    PolicyDocument(
      try CiliumNetworkPolicy([
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": ["name": "p", "namespace": "default"],
        "spec": ["endpointSelector": [:], "egress": egress],
      ]))
  }

  /// So many that writing them takes a while.
  private static let others = (0..<400).map { JSONValue.string("203.0.\($0 / 64).\($0 % 64 * 4)/30") }

  private struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let before: JSONValue
    let after: JSONValue
    let isAllowed: Bool
  }

  private static let cases = [
    Case(
      testDescription: "all but a block instead of others",
      before: [["toCIDR": ["192.0.2.0/24"]]],
      after: [
        ["toCIDRSet": [["cidr": "0.0.0.0/0", "except": ["198.51.100.1/32"]]]], ["toCIDR": .array(others)],
      ], isAllowed: false),
    Case(
      testDescription: "a wider block instead of a narrower one",
      before: [["toCIDR": ["198.51.100.0/24"]], ["toCIDR": .array(others)]], after: [["toCIDR": ["198.51.0.0/16"]]],
      isAllowed: true),
    Case(
      testDescription: "a narrower block instead of a wider one", before: [["toCIDR": ["198.51.0.0/16"]]],
      after: [["toCIDR": ["198.51.100.0/24"]], ["toCIDR": .array(others)]], isAllowed: true),
  ]

  @Test(arguments: cases) private func `no packet meets half a policy`(_ scenario: Case) async throws {
    let folder = try TemporaryDirectory()
    let state = StateDirectory(folder.path)
    try state.create()
    let pins = DatapathPins(root: "/sys/fs/bpf/martlet-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    defer { try? pins.removeAll() }
    let datapath = try Datapath(pins: pins, logger: logger)
    let mac = try #require(MACAddress("02:00:00:00:00:01"))
    let address = try #require(IPAddress("10.200.0.1"))
    let endpoint = DatapathEndpoint(
      id: 1, addresses: [address], interfaceIndex: 1, identity: Self.subject, podMAC: mac, hostMAC: mac)
    try datapath.endpoints.set(endpoint)
    let controller = PolicyController(
      datapath: datapath, directory: NodeDirectory(), state: state, devices: [], logger: logger
    ) { _ in }
    let labels = IdentityLabels(podLabels: ["app": "a"], namespace: "default")
    await controller.start(
      PolicySnapshot(
        identities: [Self.subject: IdentityDetails(labels: labels)], subjects: [Self.subject],
        policies: [try Self.policy(scenario.before)]))

    let source = TraceEnd(address: address, endpoint: endpoint)
    let destination = TraceEnd(address: try #require(IPAddress("198.51.100.1")), endpoint: nil)
    let watch = Watch()
    async let reasons = watch.reasons { () throws -> UInt8 in
      try datapath.trace(from: source, to: destination, ipProtocol: 6, port: 80).dropReason
    }
    var delta = PolicyDelta()
    delta.changedPolicies = [try Self.policy(scenario.after)]
    await controller.apply(delta)
    watch.end()
    #expect(try await reasons == [scenario.isAllowed ? 0 : 133])
  }

  /// Asks the same all the while, on a thread of its own.
  private final class Watch: Sendable {
    private let isDone = Atomic<Bool>(false)

    func end() { isDone.store(true, ordering: .releasing) }

    func reasons(_ ask: @escaping @Sendable () throws -> UInt8) async throws -> Set<UInt8> {
      try await DetachedThread.run { () -> Result<Set<UInt8>, any Error> in
        Result {
          var reasons: Set<UInt8> = []
          repeat { reasons.insert(try ask()) } while !self.isDone.load(ordering: .acquiring)
          return reasons
        }
      }.get()
    }
  }
}
